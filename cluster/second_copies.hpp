// SPDX-License-Identifier: Apache-2.0
//
// Puts the contents of a release on other controllers before it becomes part of the history, so that
// whoever leads next can serve what was acknowledged. Each is asked what it lacks, is sent that, and
// is asked again: it answers when what it has is on its disk.
//
// Source   docs/etcd.md; docs/cluster.md, "Controllers".
// Thread   cluster.
// Errors   to `then`, when no other controller has all of it.
// Called   by cluster/controller.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/links.hpp"
#include "cluster/own_requests.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe::cluster {

class second_copies {
 public:
  second_copies(lower_links& lower, blob_source& blobs) : lower_(lower), blobs_(blobs) {}

  using done = std::function<void(tl::expected<void, refusal>)>;
  /// Called back when the first of them has all; the others get it too. Not before this returns.
  /// @param to  the links of other controllers, by their names; one at least.
  void make(const std::vector<digest>& names, const std::map<std::string, peer_id>& to, done then,
            instant now);
  /// @return whether it answers this.
  bool on_message(const peer_id& from, const message& what, instant now);
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;

 private:
  /// Down to one peer, as own_requests asks it.
  class down final : public upper_link {
   public:
    down(lower_links& lower, peer_id to) : lower_(lower), to_(std::move(to)) {}
    void send(const message& what) override { lower_.send(to_, what); }
    void connect_anew() override {}

   private:
    lower_links& lower_;
    peer_id to_;
  };
  struct way {
    way(lower_links& lower, const peer_id& to);
    down link;
    own_requests asks;
  };
  struct job {
    std::vector<digest> names;
    done then;  ///< None: it was told.
    std::size_t open = 0;
    std::string problems;
  };
  struct copy {
    std::shared_ptr<job> of;
    std::string name;
    peer_id to;
    unsigned round = 0;
    std::size_t from = 0;  ///< The name from which on it is looked now.
  };
  void look(copy one);
  void send(const copy& one, std::vector<digest> lacking);
  static void finish(const copy& one, const std::string& problem);

  lower_links& lower_;
  blob_source& blobs_;
  std::map<peer_id, std::unique_ptr<way>> ways_;
  instant now_;
};

}  // namespace troupe::cluster
