// SPDX-License-Identifier: Apache-2.0
#include "runtime/descriptors.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>

#include "net/socket.hpp"

namespace troupe {

std::string lack_of_descriptors() {
  const net::unique_fd one(::eventfd(0, EFD_CLOEXEC));
  if (one || (errno != EMFILE && errno != ENFILE)) return {};
  const int number = errno;
  std::string text(no_descriptor_is_left);
  text.append(" (").append(std::to_string(number)).append(": ");
  return text.append(std::generic_category().message(number)).append(")");
}

}  // namespace troupe
