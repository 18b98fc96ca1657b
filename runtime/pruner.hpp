// SPDX-License-Identifier: Apache-2.0
//
// What a node forgets its old releases on: after a change, and beside whatever follows it, so that
// neither that change nor the next one waits for what is deleted.
//
// Thread   one of its own, "prune"; the calls: any.
// Called   by runtime/deployment.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace troupe {

class pruner {
 public:
  /// @param round  returns soon once its token says so. Called on the thread, from the first wish on.
  explicit pruner(std::function<void(const std::stop_token&)> round);
  ~pruner();

  /// A round from now on; one that is under way does not count.
  void wish();
  /// Returns when no round is under way, with none to come before the next wish.
  void rest();

 private:
  void run();

  std::function<void(const std::stop_token&)> round_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_wished_ = false;  ///< Under the mutex; so is what follows.
  bool is_over_ = false;
  std::optional<std::stop_source> under_way_;
  std::thread thread_;
};

}  // namespace troupe
