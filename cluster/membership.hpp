// SPDX-License-Identifier: Apache-2.0
//
// Who is there and how they do, by their beats: a node is live while it has been heard within three
// beacons. A node that moves from one relay to another is the same node, seen from elsewhere.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Called   by cluster/controller, cluster/relay, cluster/takeover.
#pragma once

#include "cluster/links.hpp"
#include "cluster/selector.hpp"

#include <map>
#include <string>
#include <vector>

namespace troupe::cluster {

class membership {
 public:
  /// Three beacons and half of one on the way.
  static constexpr std::chrono::milliseconds live_for{3'500};
  static constexpr std::size_t max_nodes = 100'000;

  struct node {
    node_report report;
    peer_id via;  ///< Its own link, or its relay's.
    instant heard;
  };

  /// @param wall  for people.
  void hear(node_report report, const peer_id& via, instant now, wall_time wall);
  /// A sign of life that says no more.
  void hear(const std::string& name, instant now);
  /// It has taken the history so far, at least: who lists nodes after a push is not shown what they
  /// said before it.
  void acknowledged(const std::string& name, const position& at);
  void serves(const std::string& name, const std::string& app, std::uint32_t release);
  /// One that is to be there and has not been heard.
  /// @param wall  since when, as far as is known.
  void expect(node_report report, instant now, wall_time wall);
  void remove(const std::string& name);

  [[nodiscard]] const node* find(const std::string& name) const;
  [[nodiscard]] bool is_live(const std::string& name, instant now) const;
  [[nodiscard]] std::vector<const node*> live(const selector& who, instant now) const;
  /// Links to at most `most` live nodes other than `but`: of each set of releases that some run, one
  /// node after the other, since the contents of a release may be only where it runs.
  [[nodiscard]] std::vector<peer_id> sources(std::string_view but, std::size_t most,
                                             instant now) const;
  [[nodiscard]] const std::map<std::string, node>& all() const noexcept { return nodes_; }
  [[nodiscard]] std::vector<node_report> reports() const;

 private:
  std::map<std::string, node> nodes_;
};

}  // namespace troupe::cluster
