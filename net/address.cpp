// SPDX-License-Identifier: Apache-2.0
#include "net/address.hpp"

#include <arpa/inet.h>
#include <netdb.h>

#include <cstddef>
#include <cstring>

namespace troupe::net {
namespace {

tl::expected<std::uint16_t, std::string> parse_port(std::string_view text) {
  unsigned port = 0;
  if (text.empty() || text.size() > 5) return tl::unexpected(std::string("invalid port"));
  for (const char c : text) {
    if (c < '0' || c > '9') return tl::unexpected(std::string("invalid port"));
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port > 65535) return tl::unexpected(std::string("invalid port"));
  return static_cast<std::uint16_t>(port);
}

}  // namespace

address address::from(const sockaddr* raw, socklen_t size) noexcept {
  address a;
  if (size > sizeof a.storage_) size = sizeof a.storage_;
  std::memcpy(&a.storage_, raw, size);
  a.size_ = size;
  return a;
}

tl::expected<address, std::string> address::parse_listen(std::string_view text) {
  address a;
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    if (path.empty()) return tl::unexpected(std::string("no path in the unix domain socket"));
    if (path.size() >= sizeof a.storage_.un.sun_path) {
      return tl::unexpected(std::string("too long path in the unix domain socket"));
    }
    a.storage_.un.sun_family = AF_UNIX;
    std::memcpy(a.storage_.un.sun_path, path.data(), path.size());
    a.storage_.un.sun_path[path.size()] = '\0';
    a.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return a;
  }
  std::string host;
  std::string_view port_text;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return tl::unexpected(std::string("invalid IPv6 address"));
    host = text.substr(1, close - 1);
    std::string_view rest = text.substr(close + 1);
    if (rest.starts_with(':')) port_text = rest.substr(1);
    else if (!rest.empty()) return tl::unexpected(std::string("invalid host"));
    a.storage_.v6.sin6_family = AF_INET6;
    a.size_ = sizeof(sockaddr_in6);
    if (::inet_pton(AF_INET6, host.c_str(), &a.storage_.v6.sin6_addr) != 1) {
      return tl::unexpected(std::string("invalid IPv6 address"));
    }
  } else {
    const auto colon = text.rfind(':');
    if (colon != std::string_view::npos) {
      host = text.substr(0, colon);
      port_text = text.substr(colon + 1);
    } else if (text.find_first_not_of("0123456789") == std::string_view::npos) {
      port_text = text;
    } else {
      host = text;
    }
    a.storage_.v4.sin_family = AF_INET;
    a.size_ = sizeof(sockaddr_in);
    if (host.empty() || host == "*") {
      a.storage_.v4.sin_addr.s_addr = INADDR_ANY;
    } else if (::inet_pton(AF_INET, host.c_str(), &a.storage_.v4.sin_addr) != 1) {
      addrinfo hints{};
      hints.ai_family = AF_UNSPEC;
      hints.ai_socktype = SOCK_STREAM;
      addrinfo* found = nullptr;
      if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0 || found == nullptr) {
        return tl::unexpected(std::string("host not found"));
      }
      a = from(found->ai_addr, found->ai_addrlen);
      ::freeaddrinfo(found);
    }
  }
  std::uint16_t port = 80;
  if (!port_text.empty() || text.ends_with(':')) {
    const auto parsed = parse_port(port_text);
    if (!parsed) return tl::unexpected(parsed.error());
    port = *parsed;
  }
  a.port(port);
  return a;
}

std::uint16_t address::port() const noexcept {
  switch (family()) {
    case AF_INET: return ntohs(storage_.v4.sin_port);
    case AF_INET6: return ntohs(storage_.v6.sin6_port);
    default: return 0;
  }
}

void address::port(std::uint16_t p) noexcept {
  if (family() == AF_INET) storage_.v4.sin_port = htons(p);
  if (family() == AF_INET6) storage_.v6.sin6_port = htons(p);
}

bool address::is_any() const noexcept {
  if (family() == AF_INET) return storage_.v4.sin_addr.s_addr == INADDR_ANY;
  if (family() == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&storage_.v6.sin6_addr);
  return false;
}

std::string address::host() const {
  char text[INET6_ADDRSTRLEN] = {};
  switch (family()) {
    case AF_INET: ::inet_ntop(AF_INET, &storage_.v4.sin_addr, text, sizeof text); return text;
    case AF_INET6: ::inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text, sizeof text); return text;
    case AF_UNIX:
      if (size_ <= offsetof(sockaddr_un, sun_path)) return "unix:";
      return std::string("unix:") + storage_.un.sun_path;
    default: return {};
  }
}

std::string address::text() const {
  if (family() == AF_INET) return host() + ":" + std::to_string(port());
  if (family() == AF_INET6) return "[" + host() + "]:" + std::to_string(port());
  return host();
}

std::string_view address::binary() const noexcept {
  if (family() == AF_INET) {
    return {reinterpret_cast<const char*>(&storage_.v4.sin_addr), sizeof storage_.v4.sin_addr};
  }
  if (family() == AF_INET6) {
    return {reinterpret_cast<const char*>(&storage_.v6.sin6_addr), sizeof storage_.v6.sin6_addr};
  }
  return {};
}

bool operator==(const address& a, const address& b) noexcept {
  if (a.family() != b.family()) return false;
  if (a.family() == AF_UNIX) return std::strcmp(a.storage_.un.sun_path, b.storage_.un.sun_path) == 0;
  return a.port() == b.port() && a.binary() == b.binary();
}

std::optional<address> address::parse_unix(std::string_view text) noexcept {
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  if (!text.starts_with("unix:")) return {};
  text.remove_prefix(5);
  if (text.empty() || text.size() >= sizeof path.sun_path) return {};
  std::memcpy(path.sun_path, text.data(), text.size());
  return from(reinterpret_cast<const sockaddr*>(&path),
              static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1));
}

std::optional<address> address::parse_literal(std::string_view text) noexcept {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  char name[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof name) return std::nullopt;
  std::memcpy(name, text.data(), text.size());
  name[text.size()] = '\0';
  address made;
  if (::inet_pton(AF_INET, name, &made.storage_.v4.sin_addr) == 1) {
    made.storage_.v4.sin_family = AF_INET;
    made.size_ = sizeof made.storage_.v4;
    return made;
  }
  if (::inet_pton(AF_INET6, name, &made.storage_.v6.sin6_addr) == 1) {
    made.storage_.v6.sin6_family = AF_INET6;
    made.size_ = sizeof made.storage_.v6;
    return made;
  }
  return std::nullopt;
}

}  // namespace troupe::net
