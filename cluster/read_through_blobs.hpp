// SPDX-License-Identifier: Apache-2.0
//
// Answers who asks for contents from this node's store; what is not there is fetched first, once for
// all who ask, and stays: a read-through cache. A relay fetches from above for those below; for the
// one above, a controller that took over, it and the controller fetch from the nodes below, which run
// what they do not.
//
// Source   docs/cluster.md, "Relays" and "Controllers".
// Thread   cluster.
// Errors   what nobody has is answered as `gone`; what does not come in 30 s is not answered: who
//          wants it still has asked again.
// Called   by cluster/controller, cluster/relay.
#pragma once

#include "cluster/blob_fetcher.hpp"
#include "cluster/blob_server.hpp"

#include <set>

namespace troupe::cluster {

class read_through_blobs {
 public:
  struct options {
    /// Who may have what is not here; none: only what is here is answered. Called before
    /// contents are fetched, and every half second meanwhile.
    std::function<std::vector<peer_id>()> sources;
    std::function<void(const peer_id&, const message&)> ask;  ///< Of one of those.
    std::function<std::uint64_t()> next_ask;
    std::function<void(const peer_id&, const message&)> answer;
    /// Before it asks for what this node's own follower may be fetching already.
    std::chrono::milliseconds own_first{0};
  };
  read_through_blobs(options how, blob_source& blobs);

  void on_fetch(const peer_id& from, const std::vector<fetch_blob>& asked, instant now);
  /// @return whether this asked for it.
  bool on_piece(const blob_piece& piece, instant now);
  void forget(const peer_id& who);
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;
  /// What the store has, for an announcement; nullptr: it does not.
  [[nodiscard]] const std::string* compressed(const digest& name) {
    return served_.compressed(name);
  }

 private:
  struct waiting {
    peer_id from;
    fetch_blob asked;
    instant until;
  };
  struct content {
    std::vector<waiting> who;
    instant since;
  };
  /// @return false: nobody may have it.
  [[nodiscard]] bool wait_for(const peer_id& from, const fetch_blob& what, instant now);
  bool look_for_sources(instant now);
  void serve_arrived();
  void drop_late(instant now);

  options how_;
  blob_source& blobs_;
  blob_server served_;
  blob_fetcher fetcher_;
  std::map<digest, content> wanted_;
  std::size_t waiting_ = 0;
  std::set<digest> failed_;  ///< Those that nobody has.
  instant looked_;
  instant clock_;
};

}  // namespace troupe::cluster
