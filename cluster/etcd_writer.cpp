// SPDX-License-Identifier: Apache-2.0
#include "cluster/etcd_writer.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using what = etcd_operation::what;

/// etcd takes requests of 1.5 MiB.
constexpr std::size_t piece_bytes = 512 * 1024;
constexpr std::size_t page = 128;            ///< Changes read at once; fewer when they are long.
constexpr std::size_t changes_at_once = 64;  ///< Written; etcd takes 128 operations.
constexpr auto read_within = 10s;

tl::unexpected<refusal> damaged(const std::string& why) {
  return tl::unexpected(refusal{refusal_errc::damaged,
                                "the log in etcd is damaged: " + why +
                                    "; restore etcd from a backup, or empty this prefix so that a "
                                    "controller begins with the history that it has",
                                {}});
}

tl::unexpected<refusal> not_leader(const std::string& why) {
  return tl::unexpected(refusal{refusal_errc::not_leader, why, {}});
}

}  // namespace

etcd_writer::etcd_writer(const etcd_address& store, leader_fence fence,
                         std::function<instant()> valid_until)
    : etcd_(store),
      keys_{store.prefix},
      fence_(std::move(fence)),
      valid_until_(std::move(valid_until)) {}

etcd_writer::compares etcd_writer::fenced() const {
  return {{.key = keys_.leader(), .create_revision = fence_.create_revision},
          {.key = keys_.leader(), .value = fence_.value}};
}

// ---- reading

tl::expected<std::optional<std::string>, refusal> etcd_writer::value(const std::string& key) {
  auto found = etcd_.range(key, {}, 1, clock::now() + read_within);
  if (!found) return tl::unexpected(std::move(found.error()));
  if (found->empty()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(found->front().value));
}

tl::expected<std::vector<change>, refusal> etcd_writer::changes_after(std::uint64_t cut) {
  std::vector<change> result;
  std::size_t limit = page;
  std::uint64_t next = cut + 1;
  while (true) {
    auto list = etcd_.range(keys_.change(next), keys_.log_end(), limit, clock::now() + read_within);
    if (!list) {
      if (list.error().errc != refusal_errc::too_large || limit == 1) {
        return tl::unexpected(std::move(list.error()));
      }
      limit /= 2;
      continue;
    }
    for (const etcd_entry& one : *list) {
      auto decoded = change::decode(one.value);
      if (!decoded) return damaged(one.key + ": " + decoded.error().reason);
      if (decoded->seq != next || one.key != keys_.change(next)) {
        return damaged("change " + std::to_string(next) + " is missing");
      }
      if (!result.empty() && decoded->parent != result.back().after().state) {
        return damaged("change " + std::to_string(next) + " does not follow the one before it");
      }
      result.push_back(*std::move(decoded));
      ++next;
    }
    if (list->size() < limit) return result;
  }
}

tl::expected<void, refusal> etcd_writer::load_snapshot(content& to, const std::string& placed) {
  std::istringstream words(placed);
  std::string epoch;
  std::string seq;
  std::string state;
  std::string hash;
  std::uint64_t pieces = 0;
  words >> epoch >> seq >> state >> to.cut >> pieces >> hash;
  const auto at = position_from(epoch + ' ' + seq + ' ' + state);
  if (!words || !at) return damaged("its snapshot's place cannot be read");
  to.snapshot_at = *at;
  std::string bytes;
  for (std::uint64_t i = 0; i < pieces; ++i) {
    auto piece = value(keys_.piece(at->seq, i));
    if (!piece) return tl::unexpected(std::move(piece.error()));
    if (!*piece) return damaged("a piece of its snapshot is missing");
    bytes += **piece;
  }
  if (digest::of(bytes).hex() != hash) return damaged("its snapshot has another digest");
  to.snapshot = std::move(bytes);
  return {};
}

tl::expected<etcd_writer::content, refusal> etcd_writer::load() {
  // Nobody appends but who has the leader's key: what is read one after another is of one time.
  content result;
  auto head = value(keys_.head());
  if (!head) return tl::unexpected(std::move(head.error()));
  if (!*head) return result;
  auto placed = value(keys_.snapshot());
  if (!placed) return tl::unexpected(std::move(placed.error()));
  if (*placed) {
    if (auto done = load_snapshot(result, **placed); !done) {
      return tl::unexpected(std::move(done.error()));
    }
  }
  auto changes = changes_after(result.cut);
  if (!changes) return tl::unexpected(std::move(changes.error()));
  result.changes = *std::move(changes);
  const position last = result.changes.empty() ? result.snapshot_at : result.changes.back().after();
  const auto at = position_from(**head);
  if (!at) return damaged("its head cannot be read");
  result.head = *at;
  if (result.head != last) return damaged("its changes do not lead to its head");
  return result;
}

// ---- writing

tl::expected<void, refusal> etcd_writer::commit(const compares& when, const operations& then,
                                                const std::string& after) {
  while (true) {
    const instant until = valid_until_();
    if (clock::now() >= until) {
      return not_leader(
          "etcd did not answer while this node's lease lasted; whether the change "
          "was taken, the next controller knows");
    }
    const auto done = etcd_.transact(
        when, then, {{what::range, keys_.head()}, {what::range, keys_.leader()}}, until);
    if (!done) {
      // The lease may have been renewed meanwhile.
      if (done.error().errc == refusal_errc::io && clock::now() < valid_until_()) continue;
      if (done.error().errc == refusal_errc::io) return not_leader(done.error().reason);
      return tl::unexpected(done.error());
    }
    if (done->succeeded) return {};
    if (done->ranges.size() != 2) return not_leader("etcd did not say why");
    const auto& head = done->ranges[0];
    const auto& leader = done->ranges[1];
    // By a try whose answer was lost. It is in the log, whoever leads now.
    if (!after.empty() && !head.empty() && head.front().value == after) return {};
    if (leader.empty() || leader.front().value != fence_.value ||
        leader.front().create_revision != fence_.create_revision) {
      return not_leader("another controller leads, or nobody, as etcd says");
    }
    return not_leader("the log in etcd does not stand where this controller left it");
  }
}

tl::expected<void, refusal> etcd_writer::append(const position& before, const change& next) {
  compares when = fenced();
  if (before == position()) {
    when.push_back({.key = keys_.head(), .create_revision = 0});
  } else {
    when.push_back({.key = keys_.head(), .value = position_text(before)});
  }
  const std::string after = position_text(next.after());
  return commit(
      when, {{what::put, keys_.change(next.seq), next.encode()}, {what::put, keys_.head(), after}},
      after);
}

tl::expected<std::uint64_t, refusal> etcd_writer::put_pieces(std::uint64_t seq,
                                                             const std::string& bytes) {
  std::uint64_t pieces = 0;
  for (std::size_t from = 0; from < bytes.size(); from += piece_bytes) {
    auto done = commit(
        fenced(), {{what::put, keys_.piece(seq, pieces), bytes.substr(from, piece_bytes)}}, {});
    if (!done) return tl::unexpected(std::move(done.error()));
    ++pieces;
  }
  return pieces;
}

etcd_operation etcd_writer::place_snapshot(const position& at, std::uint64_t cut,
                                           std::uint64_t pieces, const std::string& bytes) const {
  return {what::put, keys_.snapshot(),
          position_text(at) + ' ' + std::to_string(cut) + ' ' + std::to_string(pieces) + ' ' +
              digest::of(bytes).hex()};
}

tl::expected<void, refusal> etcd_writer::keep_snapshot(const position& at, std::uint64_t cut,
                                                       const std::string& bytes) {
  const auto pieces = put_pieces(at.seq, bytes);
  if (!pieces) return tl::unexpected(pieces.error());
  return commit(fenced(),
                {place_snapshot(at, cut, *pieces, bytes),
                 {what::erase, keys_.change(0), keys_.change(cut + 1)},
                 {what::erase, keys_.first_piece(), keys_.pieces(at.seq)}},
                {});
}

tl::expected<void, refusal> etcd_writer::begin(const position& at, const std::string& bytes,
                                               const std::vector<change>& since) {
  compares empty = fenced();
  empty.push_back({.key = keys_.head(), .create_revision = 0});
  if (auto done = commit(empty,
                         {{what::erase, keys_.snapshot()},
                          {what::erase, keys_.change(0), keys_.log_end()},
                          {what::erase, keys_.first_piece(), keys_.all_pieces_end()}},
                         {});
      !done) {
    return done;
  }
  const auto pieces = put_pieces(at.seq, bytes);
  if (!pieces) return tl::unexpected(pieces.error());
  operations some;
  std::size_t size = 0;
  for (const change& one : since) {
    std::string encoded = one.encode();
    if (!some.empty() && (some.size() == changes_at_once || size + encoded.size() > piece_bytes)) {
      if (auto done = commit(empty, std::exchange(some, {}), {}); !done) return done;
      size = 0;
    }
    size += encoded.size();
    some.push_back({what::put, keys_.change(one.seq), std::move(encoded)});
  }
  if (!some.empty()) {
    if (auto done = commit(empty, some, {}); !done) return done;
  }
  const std::string after = position_text(since.empty() ? at : since.back().after());
  operations last{{what::put, keys_.head(), after}};
  if (!bytes.empty()) last.push_back(place_snapshot(at, at.seq, *pieces, bytes));
  return commit(empty, last, after);
}

}  // namespace troupe::cluster
