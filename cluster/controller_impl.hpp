// SPDX-License-Identifier: Apache-2.0
//
// What the parts of a controller share: controller_orders.cpp has orders on their way into the log,
// controller_messages.cpp what comes from below, controller.cpp how pushes go and what others see.
//
// Thread   cluster.
// Called   by cluster/controller*.cpp alone.
#pragma once

#include "cluster/controller.hpp"

#include "cluster/ack_pace.hpp"
#include "cluster/history_server.hpp"
#include "cluster/membership.hpp"
#include "cluster/outcomes.hpp"
#include "cluster/peer_names.hpp"
#include "cluster/push_progress.hpp"
#include "cluster/read_through_blobs.hpp"
#include "cluster/second_copies.hpp"
#include "cluster/uploads.hpp"

#include <deque>
#include <map>
#include <set>

namespace troupe::cluster {

struct controller::impl {
  impl(options given, change_log& kept, blob_source& contents, lower_links& links)
      : how(std::move(given)),
        log(kept),
        blobs(contents),
        lower(links),
        state(how.root),
        history(kept),
        served({.sources = [this] { return members.sources(how.name, max_sources, clock); },
                .ask = [this](const peer_id& to, const message& what) { lower.send(to, what); },
                .next_ask = [this] { return ++asks; },
                .answer = [this](const peer_id& to, const message& what) { lower.send(to, what); }},
               contents),
        sent(contents),
        copies(links, contents),
        answered(std::move(how.outcomes), how.keep_outcome) {}

  /// Progress to who ordered, at most so often unless a step is over.
  static constexpr std::chrono::milliseconds progress_every{50};
  /// Nodes that are asked for a content that is not here: a controller which took over knows the
  /// history, and ran only some of it.
  static constexpr std::size_t max_sources = 32;

  using teller = std::function<void(const progress&)>;
  /// An order on its way into the log. Those of people are made when they come, those of the
  /// controller when it is their turn, since a checkpoint is of the state before it.
  struct waiting {
    std::function<signed_order()> make;
    std::function<void(const refusal&)> fail;
    std::function<void(const order&, const change&)> done;
    bool is_genuine = false;
  };
  /// One that is not in the log yet: etcd is slow, or its contents are on their way to another
  /// controller.
  struct early_order {
    std::string state;  ///< As progress has it.
    std::vector<teller> tellers;
  };
  struct underway {
    push_progress progress;
    std::vector<teller> tellers;
    instant told;
    bool is_news = false;
  };

  options how;
  change_log& log;
  blob_source& blobs;
  lower_links& lower;
  cluster_state state;
  history_server history;
  std::uint64_t asks = 0;
  read_through_blobs served;
  uploads sent;
  second_copies copies;
  membership members;
  ack_pace pace;
  peer_names names;
  std::deque<waiting> queue;
  bool is_appending = false;
  bool is_lost = false;
  bool is_started = false;
  std::map<order_id, underway> pushes;
  outcomes answered;
  std::map<order_id, early_order> early;
  wall_time beacon_base;
  instant beacon_start;
  instant beacon_due;
  std::uint64_t checkpointed = 0;  ///< The seq of the last checkpoint, or where the log begins.
  bool is_checkpointing = false;
  std::string checkpoint_bytes;
  std::uint64_t denied = 0;
  instant clock;

  void say(log_level level, std::string_view line) const {
    if (how.log) how.log(level, line);
  }

  // ---- orders
  void take(const signed_order& what, teller tell, instant now);
  [[nodiscard]] std::optional<refusal> lacks(const order& what) const;
  void enqueue(waiting what);
  void enqueue_with_copies(const release_order& what, waiting entry);
  void pump();
  void appended(const order& what, const change& in, std::string snapshot, const position& before);
  void follow(const order& what, const change& in);
  [[nodiscard]] signed_order own_order(std::string app, order_body body) const;
  void maybe_checkpoint();
  void lose(std::string_view why);
  void cut_those_gone(const std::map<std::string, std::string>& before);

  // ---- how they go
  void advance(const order_id& id);
  void tell(underway& what, bool is_urgent);
  void tell_early() const;

  // ---- from below
  void on_hello(const peer_id& from, const hello& what);
  void on_beat(const peer_id& from, beat what);
  void on_acks(const peer_id& from, const acknowledgements& what);
  void on_query(const peer_id& from, const query& what);
  [[nodiscard]] std::map<std::string, peer_id> heirs() const;
  void deny(const peer_id& from, std::uint64_t ask, std::string reason);
  void send_beacon();
  void repeat_what_is_due();
};

}  // namespace troupe::cluster
