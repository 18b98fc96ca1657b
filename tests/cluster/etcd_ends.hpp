// SPDX-License-Identifier: Apache-2.0
//
// A controller's end at etcd, with answers that a test waits for.
//
// Called   by tests/cluster.
#pragma once

#include "cluster/etcd_log.hpp"
#include "cluster/leadership.hpp"
#include "tests/support/process.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace troupe::cluster {

/// Until it is so; a test that waits for ever has failed.
template <class Question>
bool wait_until(Question is_so) {
  const auto end = std::chrono::steady_clock::now() + tests::patience;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class etcd_end {
 public:
  etcd_end(etcd_address store, const std::string& name,
           std::chrono::seconds life = std::chrono::seconds(10))
      : store_(std::move(store)),
        office({.store = store_,
                .name = name,
                .address = name + ":7000",
                .life = life,
                .look_every = std::chrono::milliseconds(50),
                .wake = {}}) {}

  /// Waits until it leads, and reads the log.
  /// @param knows_time  else it goes on appending when its lease has ended, as if it had been
  ///                    paused after it had looked at the clock
  bool lead(bool knows_time = true, std::uint64_t floor = 0) {
    office.campaign(floor, true);
    if (!wait_until([&] { return office.held().has_value(); })) return false;
    const auto held = office.held();
    if (!held) return false;
    epoch = held->epoch;
    log = std::make_unique<etcd_log>(
        etcd_log::options{.store = store_,
                          .fence = held->fence,
                          .valid_until =
                              [this, knows_time] {
                                return knows_time ? office.valid_until()
                                                  : std::chrono::steady_clock::time_point::max();
                              },
                          .wake = {},
                          .log = {}});
    return wait_until([&] {
      log->poll();
      return log->loaded().has_value();
    });
  }

  /// The next change of a history that is about nothing.
  [[nodiscard]] change next(const std::string& text) const {
    change result;
    result.epoch = epoch;
    result.seq = log->head().seq + 1;
    result.parent = log->head().state;
    result.time = wall_time(std::chrono::milliseconds(1'767'323'045'678));
    result.ordered.bytes = text;
    return result;
  }
  tl::expected<void, refusal> append(const change& what) const {
    std::optional<tl::expected<void, refusal>> result;
    log->append(what, [&](const tl::expected<void, refusal>& said) { result = said; });
    const bool answered = wait_until([&] {
      log->poll();
      return result.has_value();
    });
    if (!answered) return tl::unexpected(refusal{refusal_errc::io, "no answer", {}});
    return *result;
  }
  tl::expected<void, refusal> append(const std::string& text) const { return append(next(text)); }
  [[nodiscard]] std::vector<std::string> texts() const {
    std::vector<std::string> result;
    const auto list = log->read(log->begins_after(), std::size_t{1} << 30);
    EXPECT_TRUE(list);
    if (!list) return result;
    for (const change& one : *list) result.push_back(one.ordered.bytes);
    return result;
  }

 private:
  etcd_address store_;

 public:
  leadership office;
  std::unique_ptr<etcd_log> log;
  std::uint64_t epoch = 0;
};

}  // namespace troupe::cluster
