// SPDX-License-Identifier: Apache-2.0
//
// The address of a Unix socket by its path, also of one that is longer than the 107 bytes that
// fit: the folder is then opened and the socket named through /proc/self/fd.
//
// Source   unix(7).
// Thread   any.
// Called   by runtime/admin_server, admin_client.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "net/socket.hpp"

namespace troupe {

class unix_address {
 public:
  explicit unix_address(const std::string& path);
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&address_);
  }
  [[nodiscard]] socklen_t size() const noexcept { return sizeof address_; }

 private:
  sockaddr_un address_{};
  net::unique_fd folder_;  ///< Open as long as the address is used.
};

}  // namespace troupe
