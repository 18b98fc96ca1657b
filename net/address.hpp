// SPDX-License-Identifier: Apache-2.0
//
// A socket address: IPv4, IPv6 or Unix.
//
// Source   the `listen` directive's forms; https://nginx.org/en/docs/http/ngx_http_core_module.html#listen.
// Thread   any.
// Errors   parse: a text that fits after "invalid …" in nginx's words.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace troupe::net {

class address {
public:
  address() noexcept { storage_.base.sa_family = AF_UNSPEC; }
  static address from(const sockaddr* raw, socklen_t size) noexcept;

  /// `8080`, `*:8080`, `127.0.0.1:80`, `[::]:80`, `localhost:80`, `unix:/path`.
  static tl::expected<address, std::string> parse_listen(std::string_view text);

  /// A numeric address without port, IPv6 with or without brackets; none if it is a name.
  static std::optional<address> parse_literal(std::string_view text) noexcept;

  /// `unix:/path`; none if there is no path or it is too long.
  static std::optional<address> parse_unix(std::string_view text) noexcept;

  [[nodiscard]] int family() const noexcept { return storage_.base.sa_family; }
  [[nodiscard]] const sockaddr* raw() const noexcept { return &storage_.base; }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint16_t port() const noexcept;  ///< 0 for Unix sockets.
  void port(std::uint16_t p) noexcept;
  [[nodiscard]] bool is_any() const noexcept;         ///< 0.0.0.0 or ::
  [[nodiscard]] bool is_unix() const noexcept { return family() == AF_UNIX; }

  /// Without port: "127.0.0.1", "::1", "unix:/path" ("unix:" for unnamed peers).
  [[nodiscard]] std::string host() const;
  /// With port: "127.0.0.1:80", "[::1]:80", "unix:/path".
  [[nodiscard]] std::string text() const;
  /// 4 or 16 bytes in network order; "" for Unix sockets.
  [[nodiscard]] std::string_view binary() const noexcept;

  friend bool operator==(const address& a, const address& b) noexcept;

private:
  union {
    sockaddr base;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un un;
  } storage_{};
  socklen_t size_ = 0;
};

}  // namespace troupe::net
