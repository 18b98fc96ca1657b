// SPDX-License-Identifier: Apache-2.0
//
// What the parts of a follower share: follower.cpp takes changes and says how far it is,
// follower_history.cpp takes another history in place of its own.
//
// Thread   cluster.
// Called   by cluster/follower*.cpp alone.
#pragma once

#include "cluster/follower.hpp"

#include "cluster/app_tasks.hpp"
#include "cluster/blob_fetcher.hpp"
#include "cluster/blob_server.hpp"
#include "cluster/catch_up.hpp"
#include "cluster/history_server.hpp"
#include "cluster/load_state.hpp"
#include "cluster/promotion.hpp"
#include "cluster/signature_batch.hpp"
#include "cluster/uploads.hpp"

namespace troupe::cluster {

struct follower::impl {
  using milliseconds = std::chrono::milliseconds;
  static constexpr milliseconds silence{
      3'000};  ///< Three beacons: the link is dead, or who is above.
  static constexpr milliseconds first_silence{
      1'500};  ///< The same, of one that has not been heard yet.
  static constexpr milliseconds beats_within{400};  ///< After a beacon.
  static constexpr milliseconds log_again{1'000};   ///< After a full disk.

  impl(options given, change_log& own, blob_source& blobs, host& runtime, upper_link& upper)
      : how(std::move(given)),
        log(own),
        blobs(blobs),
        runtime(runtime),
        upper(upper),
        state(how.root),
        asking(upper, [this] { return ++asks; }),
        fetcher({.send = [this](const peer_id&, const message& what) { this->upper.send(what); },
                 .next_ask = [this] { return ++asks; },
                 .arrived =
                     [this](const digest& name, tl::expected<void, refusal> result) {
                       tasks.on_content(name, result);
                     }},
                blobs),
        tasks({.name = how.name,
               .labels = how.labels,
               .log = [this](log_level level, std::string_view line) { say(level, line); },
               .wake = how.wake,
               .acknowledge = [this](acknowledgement ack) { acks.push_back(std::move(ack)); },
               .on_gone = [this] { lacks = true; }},
              blobs, fetcher, runtime),
        history(own),
        contents(blobs),
        sent(blobs),
        beat_delay(std::hash<std::string>()(how.name) %
                   static_cast<std::size_t>(beats_within.count())) {}

  options how;
  change_log& log;
  blob_source& blobs;
  host& runtime;
  upper_link& upper;
  cluster_state state;
  std::uint64_t asks = 0;
  std::vector<acknowledgement> acks;
  catch_up asking;
  blob_fetcher fetcher;
  app_tasks tasks;
  history_server history;
  blob_server contents;
  uploads sent;  ///< By the one above, for when this node leads.

  bool is_up = false;
  bool is_proven = false;  ///< The subscriptions hold: a welcome or a beacon came over this link.
  /// Who beacons is not who leads in our history, at the same epoch or a higher one.
  bool is_foreign = false;
  bool lacks = true;                      ///< Something between us and the head, as far as we know.
  instant linked;                         ///< When the link came up.
  std::chrono::milliseconds patience{0};  ///< More, of a link that took long to come up.
  bool is_greeted = false;
  std::uint64_t hello_ask = 0;
  instant hello_due = instant::max();
  instant beat_due = instant::max();
  std::chrono::milliseconds beat_delay;
  std::optional<instant> heard;         ///< A genuine beacon.
  std::optional<wall_time> heard_time;  ///< What it said; an older one is a replay.
  position heard_at;
  std::map<std::uint64_t, announcement> buffered;  ///< By seq: above a gap.
  std::string trouble;                             ///< Why it is behind.
  instant log_retry = instant::max();
  std::map<std::string, std::string, std::less<>> values;  ///< As the host has them.
  bool has_values = false;

  /// Another history that is being taken in our place: accepted when it is shown to be one.
  struct candidate {
    cluster_state state;
    position base;
    std::string bytes;
    std::vector<change> since;
  };
  std::optional<candidate> other;

  void say(log_level level, std::string_view line) const {
    if (how.log) how.log(level, line);
  }
  void set_trouble(std::string what) {
    if (!what.empty() && what != trouble) say(log_level::warn, "cluster: " + what);
    trouble = std::move(what);
  }

  // ---- the log
  [[nodiscard]] tl::expected<void, refusal> load();
  [[nodiscard]] tl::expected<void, refusal> keep(const std::vector<change>& list);
  /// Those that follow our position; what was taken is part of state and log. Stops at the first
  /// that cannot be.
  bool take(std::vector<change> list, bool is_last, instant now);
  void note(const change& in);
  void act(instant now);
  void apply_values();
  void flush();

  // ---- from above
  void on_beacon(const beacon& what, instant now);
  void on_announcement(announcement what, instant now);
  void on_changes(changes what, instant now);
  void on_snapshot(const snapshot_piece& piece, instant now);
  void on_candidate(changes what, instant now);
  bool accept(instant now);
  void on_repeat(const change& what, instant now);
  /// @return whether one of those that wait was taken, and acted on.
  bool replay(instant now);
  void look_after(instant now);
  /// When the link is taken for dead if no beacon comes.
  [[nodiscard]] instant dead_at() const {
    return heard && *heard >= linked ? *heard + silence : linked + first_silence + patience;
  }
  void say_hello(instant now);
  void show_promotion();
  [[nodiscard]] node_report report() const;
  [[nodiscard]] message lacking(const missing_blobs& asked);
  [[nodiscard]] bool is_genuine(const beacon& what) const;
};

}  // namespace troupe::cluster
