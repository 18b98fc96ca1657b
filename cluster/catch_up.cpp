// SPDX-License-Identifier: Apache-2.0
#include "cluster/catch_up.hpp"

#include "cluster/compression.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto first_wait = 500ms;
constexpr unsigned max_doublings = 2;
/// Of a state: some hundred thousand values.
constexpr std::uint64_t max_snapshot_bytes = 512u << 20;

}  // namespace

catch_up::catch_up(upper_link& upper, std::function<std::uint64_t()> next_ask)
    : upper_(upper), next_ask_(std::move(next_ask)) {}

void catch_up::ask_changes(const position& after, instant now) {
  if (is_asking()) return;
  what_ = asking::changes;
  after_ = after;
  silences_ = 0;
  send(now);
}

void catch_up::ask_snapshot(instant now) {
  if (is_asking()) return;
  what_ = asking::snapshot;
  snapshot_ = {};
  bytes_.clear();
  total_ = 0;
  silences_ = 0;
  send(now);
}

void catch_up::send(instant now) {
  ask_ = next_ask_();
  deadline_ = now + first_wait * (1 << std::min(silences_, max_doublings));
  if (what_ == asking::changes) {
    upper_.send(fetch_changes{ask_, after_});
  } else {
    upper_.send(fetch_snapshot{ask_, bytes_.size(), snapshot_});
  }
}

bool catch_up::answers(const changes& answer) {
  if (what_ != asking::changes || answer.ask != ask_) return false;
  what_ = asking::nothing;
  return true;
}

std::optional<tl::expected<std::string, refusal>> catch_up::take(const snapshot_piece& piece,
                                                                 instant now) {
  if (what_ != asking::snapshot || piece.ask != ask_) return std::nullopt;
  silences_ = 0;
  if (piece.of != snapshot_ || piece.offset == 0) {
    // The first, or a newer one was begun.
    bytes_.clear();
    snapshot_ = piece.of;
    total_ = piece.total;
  }
  const auto fail = [this](std::string reason) {
    what_ = asking::nothing;
    return tl::expected<std::string, refusal>(
        tl::unexpected(refusal{.errc = refusal_errc::malformed, .reason = std::move(reason)}));
  };
  if (piece.offset != bytes_.size() || piece.total != total_ ||
      total_ > compressed_bound(max_snapshot_bytes) ||
      piece.bytes.size() > total_ - bytes_.size() || (piece.bytes.empty() && total_ != 0)) {
    return fail("a snapshot came in pieces that do not fit");
  }
  bytes_ += piece.bytes;
  if (bytes_.size() < total_) {
    send(now);
    return std::nullopt;
  }
  what_ = asking::nothing;
  if (total_ == 0) return std::string();
  auto whole = decompress(bytes_, max_snapshot_bytes);
  bytes_.clear();
  if (whole && digest::of(*whole) != snapshot_) return fail("a snapshot is not what it is called");
  return whole;
}

void catch_up::reset() {
  what_ = asking::nothing;
  bytes_.clear();
}

void catch_up::tick(instant now) {
  if (!is_asking() || now < deadline_) return;
  ++silences_;
  send(now);
}

instant catch_up::next_tick() const {
  return is_asking() ? deadline_ : instant::max();
}

}  // namespace troupe::cluster
