// SPDX-License-Identifier: Apache-2.0
//
// The operator's folder, which `troupe keys init` makes: signing.key (an admin), cluster.key (the
// CURVE pair of the operator's tools), trust.toml (the root of trust), known_nodes (where nodes of
// this machine listen, and their CURVE keys).
//
// Source   docs/cluster.md, "Keys".
// Thread   any. known_nodes may be written by several processes at once: under a lock of the
// folder. Errors   `missing` if there is no such folder, `denied` for a file that others can read,
// `conflict`
//          for keys that are there already. Nothing is ever written over a key.
// Called   by cluster/agent, `troupe keys`, `troupe push` and its kin.
#pragma once

#include "cluster/curve_key.hpp"
#include "cluster/trust_file.hpp"

#include <map>
#include <string>

namespace troupe::cluster {

class key_folder {
 public:
  /// New keys. What a broken-off make() has left is used.
  /// @param holder  whose: "ann@laptop", for people.
  [[nodiscard]] static tl::expected<key_folder, refusal> make(const std::string& path,
                                                              const std::string& holder);
  [[nodiscard]] static tl::expected<key_folder, refusal> load(const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const signing_key& signing() const noexcept { return signing_; }
  [[nodiscard]] const curve_pair& tools() const noexcept { return tools_; }
  [[nodiscard]] const trust_root& trust() const noexcept { return trust_; }

  /// CURVE key by address, "host:port". No file: none.
  [[nodiscard]] tl::expected<std::map<std::string, std::string>, refusal> known_nodes() const;
  /// A node that binds says so at its start.
  [[nodiscard]] tl::expected<void, refusal> remember_node(const std::string& address,
                                                          const std::string& curve) const;

 private:
  key_folder(std::string path, signing_key signing, curve_pair tools, trust_root trust);

  std::string path_;
  signing_key signing_;
  curve_pair tools_;
  trust_root trust_;
};

}  // namespace troupe::cluster
