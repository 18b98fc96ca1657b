// SPDX-License-Identifier: Apache-2.0
#include "runtime/unix_address.hpp"

#include <fcntl.h>

#include <cstring>

namespace troupe {

unix_address::unix_address(const std::string& path) {
  address_.sun_family = AF_UNIX;
  std::string short_path = path;
  if (path.size() >= sizeof address_.sun_path) {
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    folder_.reset(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    short_path = "/proc/self/fd/" + std::to_string(folder_.get()) + '/' +
                 (slash == std::string::npos ? path : path.substr(slash + 1));
  }
  std::strncpy(address_.sun_path, short_path.c_str(), sizeof address_.sun_path - 1);
}

}  // namespace troupe
