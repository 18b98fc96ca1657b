// SPDX-License-Identifier: Apache-2.0
//
// Pulls contents from those above: in pieces, several at a time, going on where a lost answer left
// off, from one peer after another. What has arrived is verified and put into the source.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Errors   of a content: `missing` (all peers say that it is gone), `damaged` (all sent something
// else),
//          `too_large`, `io` (it could not be put). Silence is no error: it asks again.
// Called   by cluster/follower, cluster/relay.
#pragma once

#include "cluster/blob_source.hpp"
#include "cluster/links.hpp"

#include <deque>
#include <functional>
#include <map>
#include <unordered_map>

namespace troupe::cluster {

class blob_fetcher {
 public:
  struct options {
    std::function<void(const peer_id&, const message&)> send;
    std::function<std::uint64_t()> next_ask;
    /// Once for each that was wanted, from on_piece() or offer(), never from want().
    std::function<void(const digest&, tl::expected<void, refusal>)> arrived;
    std::size_t at_once = 64;
  };
  blob_fetcher(options how, blob_source& blobs);

  /// Who can be asked; at least one. Those that answer are asked first.
  void peers(std::vector<peer_id> all);
  /// @param size  of the content, as a manifest or an order says.
  void want(const digest& name, std::uint64_t size, instant now);
  void forget(const digest& name);
  /// What came by itself, with an announcement.
  void offer(const sent_blob& blob);
  /// @return whether it was asked for.
  bool on_piece(const blob_piece& piece, instant now);
  /// The link is new: asks for all again, at once.
  void restart(instant now);
  void tick(instant now);
  /// Sends what the other calls had to ask, together.
  void flush();
  [[nodiscard]] instant next_tick() const;
  [[nodiscard]] bool is_idle() const noexcept { return wanted_.empty(); }
  [[nodiscard]] std::vector<digest> wanted() const;

 private:
  struct item {
    std::uint64_t size = 0;
    std::string compressed;
    std::uint64_t total = 0;
    std::uint64_t ask = 0;  ///< 0: waits for its turn.
    std::size_t peer = 0;
    std::size_t gone = 0;     ///< Peers that have said so, in a row.
    std::size_t damaged = 0;  ///< Times that what came was something else.
    unsigned silences = 0;
    instant deadline;
  };
  void ask(const digest& name, item& what, instant now);
  void next_peer(item& what);
  void begin_waiting(instant now);
  void finish(const digest& name, tl::expected<void, refusal> result);
  void take_whole(const digest& name, item& what, instant now);

  options how_;
  blob_source& blobs_;
  std::vector<peer_id> peers_{peer_id()};
  std::size_t first_peer_ = 0;
  std::unordered_map<digest, item> wanted_;
  std::map<std::uint64_t, digest> asked_;
  std::deque<digest> waiting_;
  std::map<peer_id, std::vector<fetch_blob>> questions_;  ///< Not sent yet.
};

}  // namespace troupe::cluster
