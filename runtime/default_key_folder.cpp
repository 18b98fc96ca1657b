// SPDX-License-Identifier: Apache-2.0
#include "runtime/default_key_folder.hpp"

#include <cstdlib>

#include <unistd.h>

namespace troupe {

std::string default_key_folder() {
  if (geteuid() == 0) return "/etc/troupe/keys";
  if (const char* base = std::getenv("XDG_CONFIG_HOME"); base != nullptr && *base != '\0') {
    return std::string(base) + "/troupe/keys";
  }
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.config/troupe/keys";
}

}  // namespace troupe
