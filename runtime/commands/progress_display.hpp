// SPDX-License-Identifier: Apache-2.0
//
// How an order goes, for people: bars that grow on a terminal, one line a step elsewhere.
//
//   release 42  3 files changed  sha256:1f2e…
//     prepared  ████████████████████  5/5   38 ms
//     canary    ████░░░░░░░░░░░░░░░░  1/5   a  42 s left
//     active    ████████████████████  5/5   44 ms
//
// Where nothing can be written over, a canary gets its line when it begins, for it takes its time; all
// else comes at the end.
//
// Source   docs/cluster.md, "A push".
// Thread   main.
// Called   by runtime/commands/order_sender.
#pragma once

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace troupe {

/// What is known of a canary beside a progress.
struct shown_canary {
  std::string names;  ///< Of its nodes: "a, c"; empty: it has not begun.
  std::size_t nodes = 0;
  std::chrono::milliseconds watch{};
  std::chrono::milliseconds left{};  ///< While it is watched.
};

class progress_display {
 public:
  using milliseconds = std::chrono::milliseconds;
  using clock = std::chrono::steady_clock;

  /// @param shows         false: nothing is written (--json).
  /// @param canary_watch  how long a canary is watched; none: there is none.
  progress_display(bool shows, bool is_terminal, std::optional<milliseconds> canary_watch)
      : shows_(shows), is_terminal_(is_terminal), canary_watch_(canary_watch) {}

  /// @param news  a progress as JSON (docs/admin-api.md, "A node of a cluster").
  void show(const std::string& heading, const nlohmann::ordered_json& news);

  /// The lines for a progress.
  [[nodiscard]] static std::string text_of(const std::string& heading,
                                           const nlohmann::ordered_json& news, bool bars,
                                           const shown_canary& of = {});

 private:
  void see_canary(const nlohmann::ordered_json& news);

  bool shows_;
  bool is_terminal_;
  std::optional<milliseconds> canary_watch_;
  shown_canary canary_;
  clock::time_point canary_began_;  ///< When the last of its nodes was active.
  bool has_said_canary_ = false;
  std::size_t lines_ = 0;  ///< Written, to be written over.
};

}  // namespace troupe
