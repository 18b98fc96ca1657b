// SPDX-License-Identifier: Apache-2.0
#include "cluster/blob_fetcher.hpp"

#include "cluster/compression.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto first_wait = 500ms;
constexpr unsigned max_doublings = 3;
/// Times that a peer may send something else than what the name says.
constexpr std::size_t damaged_tries = 2;
/// Of a content that comes with an announcement before it is wanted.
constexpr std::uint64_t max_unasked_bytes = 1024 * 1024;
constexpr std::uint64_t max_bytes_at_once = 2 * 1024 * 1024;

/// Of a piece at most; a size that nobody has said is taken for that.
std::uint64_t expected_bytes(std::uint64_t size) {
  return std::min<std::uint64_t>(size, blob_piece_bytes);
}

}  // namespace

blob_fetcher::blob_fetcher(options how, blob_source& blobs) : how_(std::move(how)), blobs_(blobs) {}

void blob_fetcher::peers(std::vector<peer_id> all) {
  if (all.empty()) all.emplace_back();
  if (all == peers_) return;
  const auto before = std::exchange(peers_, std::move(all));
  const auto place_of = [this](const peer_id& who) {
    return static_cast<std::size_t>(std::find(peers_.begin(), peers_.end(), who) - peers_.begin());
  };
  first_peer_ = place_of(before[first_peer_]) % peers_.size();
  for (auto& [name, what] : wanted_) {
    what.gone = 0;
    what.silences = 0;
    // What came of one that is still there is a beginning.
    const std::size_t place = place_of(before[what.peer]);
    if (place == peers_.size()) what.compressed.clear();
    what.peer = place % peers_.size();
  }
}

void blob_fetcher::want(const digest& name, std::uint64_t size, instant now) {
  const auto [at, is_new] = wanted_.try_emplace(name);
  if (!is_new) return;
  at->second.size = size;
  waiting_.push_back(name);
  begin_waiting(now);
}

void blob_fetcher::begin_waiting(instant now) {
  // What is on its way at the same time has an end in bytes too.
  std::uint64_t bytes = 0;
  for (const auto& [number, name] : asked_) bytes += expected_bytes(wanted_.at(name).size);
  while (asked_.size() < how_.at_once && !waiting_.empty()) {
    const digest name = waiting_.front();
    const auto found = wanted_.find(name);
    if (found == wanted_.end() || found->second.ask != 0) {
      waiting_.pop_front();
      continue;
    }
    bytes += expected_bytes(found->second.size);
    if (bytes > max_bytes_at_once && !asked_.empty()) return;
    waiting_.pop_front();
    found->second.peer = first_peer_;
    ask(name, found->second, now);
  }
}

void blob_fetcher::ask(const digest& name, item& what, instant now) {
  asked_.erase(what.ask);
  what.ask = how_.next_ask();
  asked_[what.ask] = name;
  what.deadline = now + first_wait * (1 << std::min(what.silences, max_doublings));
  questions_[peers_[what.peer]].push_back({what.ask, name, what.compressed.size()});
}

void blob_fetcher::flush() {
  for (auto& [peer, list] : std::exchange(questions_, {})) {
    for (std::size_t from = 0; from < list.size(); from += fetch_blobs::max) {
      const std::size_t to = std::min(list.size(), from + fetch_blobs::max);
      if (to - from == 1) {
        how_.send(peer, list[from]);
        continue;
      }
      how_.send(peer, fetch_blobs{{list.begin() + static_cast<std::ptrdiff_t>(from),
                                   list.begin() + static_cast<std::ptrdiff_t>(to)}});
    }
  }
}

void blob_fetcher::next_peer(item& what) {
  what.peer = (what.peer + 1) % peers_.size();
}

void blob_fetcher::forget(const digest& name) {
  const auto found = wanted_.find(name);
  if (found == wanted_.end()) return;
  asked_.erase(found->second.ask);
  wanted_.erase(found);
}

void blob_fetcher::finish(const digest& name, tl::expected<void, refusal> result) {
  forget(name);
  how_.arrived(name, std::move(result));
}

void blob_fetcher::offer(const sent_blob& blob) {
  if (blobs_.has(blob.name)) return;
  const auto found = wanted_.find(blob.name);
  const auto content = decompress(
      blob.compressed, found != wanted_.end() ? found->second.size : max_unasked_bytes);
  // What came unasked and does not fit is fetched if it is needed.
  if (!content || !blobs_.put(blob.name, *content)) return;
  if (found != wanted_.end()) finish(blob.name, {});
}

bool blob_fetcher::on_piece(const blob_piece& piece, instant now) {
  const auto asked = asked_.find(piece.ask);
  if (asked == asked_.end() || asked->second != piece.name) return false;
  const digest name = asked->second;
  asked_.erase(asked);
  item& what = wanted_.at(name);
  what.ask = 0;
  what.silences = 0;
  if (piece.gone) {
    if (++what.gone >= peers_.size()) {
      finish(name, tl::unexpected(refusal{.errc = refusal_errc::missing,
                                          .reason = "content " + name.text() + " is gone"}));
      begin_waiting(now);
      return true;
    }
    what.compressed.clear();
    next_peer(what);
    ask(name, what, now);
    return true;
  }
  what.gone = 0;
  const bool fits = piece.offset == what.compressed.size() && !piece.bytes.empty() &&
                    piece.total <= compressed_bound(what.size) &&
                    (what.compressed.empty() || piece.total == what.total) &&
                    piece.bytes.size() <= piece.total - piece.offset;
  if (!fits) {
    // Another compressed form, of another peer: from its beginning.
    what.compressed.clear();
    if (++what.damaged >= damaged_tries * peers_.size()) {
      finish(name, tl::unexpected(refusal{.errc = refusal_errc::damaged,
                                          .reason = "content " + name.text() +
                                                    " came in pieces that do not fit its size, " +
                                                    std::to_string(what.size) + " bytes"}));
      begin_waiting(now);
      return true;
    }
    next_peer(what);
    ask(name, what, now);
    return true;
  }
  what.total = piece.total;
  what.compressed += piece.bytes;
  first_peer_ = what.peer;
  if (what.compressed.size() < what.total) {
    ask(name, what, now);
    return true;
  }
  take_whole(name, what, now);
  begin_waiting(now);
  return true;
}

void blob_fetcher::take_whole(const digest& name, item& what, instant now) {
  auto content = decompress(what.compressed, what.size);
  auto put = content ? blobs_.put(name, *content)
                     : tl::expected<void, refusal>(tl::unexpected(std::move(content.error())));
  const bool is_bad = !put && put.error().errc != refusal_errc::io;
  if (is_bad && ++what.damaged < damaged_tries * peers_.size()) {
    what.compressed.clear();
    next_peer(what);
    ask(name, what, now);
    return;
  }
  finish(name, std::move(put));
}

void blob_fetcher::restart(instant now) {
  for (auto& [name, what] : wanted_) {
    if (what.ask == 0) continue;
    what.silences = 0;
    what.gone = 0;
    what.compressed.clear();
    ask(name, what, now);
  }
}

void blob_fetcher::tick(instant now) {
  for (auto& [name, what] : wanted_) {
    if (what.ask == 0 || what.deadline > now) continue;
    ++what.silences;
    next_peer(what);
    if (peers_.size() > 1) what.compressed.clear();
    ask(name, what, now);
  }
  begin_waiting(now);
}

instant blob_fetcher::next_tick() const {
  instant result = instant::max();
  for (const auto& [name, what] : wanted_) {
    if (what.ask != 0) result = std::min(result, what.deadline);
  }
  return result;
}

std::vector<digest> blob_fetcher::wanted() const {
  std::vector<digest> result;
  for (const auto& [name, what] : wanted_) result.push_back(name);
  return result;
}

}  // namespace troupe::cluster
