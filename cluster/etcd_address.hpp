// SPDX-License-Identifier: Apache-2.0
//
// Where etcd is and how to be let in:
// `etcd://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…][/PREFIX]`, or
// `etcds://…[?ca=FILE&cert=FILE&key=FILE]` with TLS. What a user's name or password has of `@:/?,%`
// is written `%40` and so on.
//
// Source   docs/etcd.md.
// Thread   any; a value.
// Errors   a refusal that says what to write, without the password.
// Called   by cluster/agent_start, cluster/etcd_client.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct etcd_address {
  std::vector<std::string> members;  ///< `http://HOST:PORT`, or all of them `https://…`.
  std::string prefix = "troupe";     ///< What the keys of this cluster begin with.
  std::string user;                  ///< Empty: etcd asks for none.
  std::string password;
  std::string authorities;  ///< A PEM file; empty: those of the system.
  std::string certificate;  ///< One's own, for etcd's --client-cert-auth; or empty.
  std::string certificate_key;
  [[nodiscard]] static tl::expected<etcd_address, refusal> parse(std::string_view text);
};

}  // namespace troupe::cluster
