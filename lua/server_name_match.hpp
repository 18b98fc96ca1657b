// SPDX-License-Identifier: Apache-2.0
//
// Which of the servers on an address a host name belongs to, by nginx's rules: the exact name, the
// longest wildcard in front (`*.example.com`; `.example.com` stands for example.com too), the
// longest wildcard behind (`www.example.*`), the first regular expression in the order of the file,
// and else the default server.
//
// It knows servers by the numbers that its maker gave them; regular expressions are run by whoever
// asks, who so keeps their captures.
//
// Source   https://nginx.org/en/docs/http/server_names.html.
// Thread   any: immutable once filled.
// Called   by actors/connection, for the Host of an exchange and the SNI of a handshake; filled by
//          runtime/conf/builder.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::lua {

class server_name_match {
 public:
  enum class added {
    ok,
    conflicting,  ///< Has it already, the first one stays: nginx warns `conflicting server name`.
    invalid,      ///< nginx: `invalid server name or wildcard`.
  };

  struct result {
    std::uint32_t server;
    bool by_regex = false;
  };

  explicit server_name_match(std::uint32_t default_server) : default_(default_server) {}

  /// @param name  any form but a regular expression; its case does not matter.
  added add(std::string_view name, std::uint32_t server);

  /// Adds a regular expression after those already there; `find` gives its number to try_regex.
  void add_regex(std::uint32_t number, std::uint32_t server) {
    regexes_.push_back({number, server});
  }

  /// @param host       in lower case, without port and without a dot at its end.
  /// @param try_regex  bool(std::uint32_t number): whether the host matches that expression.
  template <class TryRegex>
  [[nodiscard]] result find(std::string_view host, TryRegex&& try_regex) const {
    if (const auto* server = find_name(host)) return {*server};
    if (!host.empty())
      for (const auto& each : regexes_)
        if (try_regex(each.number)) return {each.server, true};
    return {default_};
  }

  [[nodiscard]] std::uint32_t default_server() const noexcept { return default_; }

 private:
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct wildcard {
    std::uint32_t server;
    bool matches_bare;  ///< `.example.com`
  };
  template <class T>
  using name_map = std::unordered_map<std::string, T, text_hash, std::equal_to<>>;
  struct regex_server {
    std::uint32_t number;
    std::uint32_t server;
  };

  [[nodiscard]] const std::uint32_t* find_name(std::string_view host) const noexcept;

  std::uint32_t default_;
  name_map<std::uint32_t> exact_;
  name_map<wildcard> ends_;         ///< `*.example.com` under example.com.
  name_map<std::uint32_t> starts_;  ///< `www.example.*` under www.example.
  std::vector<regex_server> regexes_;
};

}  // namespace troupe::lua
