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
  return "no file descriptor is left (" + std::to_string(errno) + ": " +
         std::generic_category().message(errno) + ')';
}

}  // namespace troupe
