// SPDX-License-Identifier: Apache-2.0
#include "cluster/memory_log.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

/// What a change takes beside its order, about.
constexpr std::size_t change_overhead = 200;

}  // namespace

void memory_log::append(const change& next, appended done) {
  done(append_all({next}));
}

tl::expected<void, refusal> memory_log::append_all(const std::vector<change>& next) {
  position at = head_;
  for (const change& one : next) {
    if (one.seq != at.seq + 1 || one.parent != at.state) {
      return tl::unexpected(refusal{.errc = refusal_errc::conflict,
                                    .reason = "change " + std::to_string(one.seq) +
                                              " does not follow the log's last, " +
                                              std::to_string(at.seq)});
    }
    at = one.after();
  }
  list_.insert(list_.end(), next.begin(), next.end());
  head_ = at;
  return {};
}

tl::expected<std::vector<change>, refusal> memory_log::read(std::uint64_t after_seq,
                                                            std::size_t max_bytes) const {
  if (after_seq < cut_) {
    return tl::unexpected(refusal{.errc = refusal_errc::missing,
                                  .reason = "the log begins after change " + std::to_string(cut_)});
  }
  std::vector<change> result;
  std::size_t bytes = 0;
  for (std::size_t i = after_seq - cut_; i < list_.size(); ++i) {
    bytes += list_[i].ordered.bytes.size() + change_overhead;
    if (bytes > max_bytes && !result.empty()) break;
    result.push_back(list_[i]);
  }
  return result;
}

tl::expected<std::optional<std::string>, refusal> memory_log::snapshot() const {
  return snapshot_;
}

tl::expected<void, refusal> memory_log::keep_snapshot(const position& at, std::string_view bytes) {
  if (snapshot_ && snapshot_seq_ > cut_) {
    const std::size_t gone = std::min<std::size_t>(snapshot_seq_ - cut_, list_.size());
    list_.erase(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(gone));
    cut_ = snapshot_seq_;
  }
  snapshot_ = std::string(bytes);
  snapshot_seq_ = at.seq;
  return {};
}

tl::expected<void, refusal> memory_log::replace(const position& at, std::string_view bytes,
                                                const std::vector<change>& since,
                                                const std::vector<change>& lost) {
  memory_log fresh;
  fresh.cut_ = at.seq;
  fresh.head_ = at;
  fresh.snapshot_seq_ = at.seq;
  if (!bytes.empty()) fresh.snapshot_ = std::string(bytes);
  if (auto added = fresh.append_all(since); !added) return added;
  fresh.aside_ = std::move(aside_);
  fresh.aside_.insert(fresh.aside_.end(), lost.begin(), lost.end());
  *this = std::move(fresh);
  return {};
}

tl::expected<std::vector<change>, refusal> memory_log::aside() const {
  return aside_;
}

}  // namespace troupe::cluster
