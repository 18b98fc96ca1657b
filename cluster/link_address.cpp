// SPDX-License-Identifier: Apache-2.0
#include "cluster/link_address.hpp"

#include <charconv>

#include <arpa/inet.h>

namespace troupe::cluster {

namespace {

tl::unexpected<refusal> wrong(std::string_view text, std::string_view why) {
  return tl::unexpected(
      refusal{refusal_errc::malformed,
              "address \"" + std::string(text) + "\": " + std::string(why) + ", want HOST:PORT",
              {}});
}

}  // namespace

tl::expected<link_address, refusal> link_address::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(text, "it has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong(text, "an IPv6 address goes in brackets");
  }
  if (host.empty() || host.size() > 253) return wrong(text, "it has no host");
  if (host.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%*") !=
      std::string_view::npos) {
    return wrong(text, "the host has characters that no host has");
  }
  link_address result{.host = std::string(host)};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return wrong(text, "the port is no number up to 65534");
  }
  if (result.port == 65'535) return wrong(text, "the next port is needed too");
  return result;
}

std::string link_address::text() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string link_address::endpoint(std::uint16_t distance) const {
  link_address moved = *this;
  moved.port = static_cast<std::uint16_t>(port == 0 ? 0 : port + distance);
  if (moved.host == "localhost") moved.host = "127.0.0.1";  // a bound endpoint takes no names
  return "tcp://" + moved.text();
}

bool link_address::is_loopback() const {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace troupe::cluster
