// SPDX-License-Identifier: Apache-2.0
#include "cluster/history_server.hpp"

#include "cluster/compression.hpp"

namespace troupe::cluster {
namespace {

/// Of an answer; below what a link takes.
constexpr std::size_t max_answer_bytes = 512 * 1024;
constexpr std::size_t snapshot_piece_bytes = 256 * 1024;
constexpr std::size_t kept_snapshots = 2;

message cannot(std::uint64_t ask, const refusal& why) {
  return refused{ask, "io", why.reason};
}

}  // namespace

message history_server::answer(const fetch_changes& asked) const {
  changes result;
  result.ask = asked.ask;
  result.head = log_.head();
  if (asked.after == result.head) return result;
  if (asked.after.seq >= result.head.seq) {
    // Ahead of us, or of another history: which of the two is older decides who follows.
    result.need_snapshot =
        asked.after.epoch < result.head.epoch ||
        (asked.after.epoch == result.head.epoch && asked.after.seq == result.head.seq);
    return result;
  }
  auto list = log_.read(asked.after.seq, max_answer_bytes);
  if (!list) {
    if (list.error().errc != refusal_errc::missing) return cannot(asked.ask, list.error());
    result.need_snapshot = true;
    return result;
  }
  // Each change holds the digest of all before it, so one comparison tells one history from
  // another.
  if (list->empty() || list->front().parent != asked.after.state) {
    result.need_snapshot = true;
    return result;
  }
  result.list = *std::move(list);
  return result;
}

message history_server::answer(const fetch_snapshot& asked) {
  const kept* source = nullptr;
  for (const kept& one : kept_) {
    if (asked.offset != 0 && one.of == asked.of) source = &one;
  }
  if (source == nullptr) {
    auto newest = log_.snapshot();
    if (!newest) return cannot(asked.ask, newest.error());
    const std::string bytes = *newest ? **newest : std::string();
    const digest of = digest::of(bytes);
    if (kept_.empty() || kept_.front().of != of) {
      kept_.push_front({of, bytes.empty() ? std::string() : compress(bytes)});
      if (kept_.size() > kept_snapshots) kept_.pop_back();
    }
    source = &kept_.front();
  }
  snapshot_piece piece;
  piece.ask = asked.ask;
  piece.of = source->of;
  piece.total = source->compressed.size();
  // Who began another one begins anew.
  piece.offset = source->of == asked.of && asked.offset <= piece.total ? asked.offset : 0;
  piece.bytes = source->compressed.substr(piece.offset, snapshot_piece_bytes);
  return piece;
}

}  // namespace troupe::cluster
