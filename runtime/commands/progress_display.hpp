// SPDX-License-Identifier: Apache-2.0
//
// How an order goes, for people: bars that grow on a terminal, one line a step elsewhere.
//
//   release 42  3 files changed  sha256:1f2e…
//     prepared  ████████████████████  5/5   38 ms
//     active    ████████████████████  5/5   44 ms
//
// Source   docs/cluster.md, "A push".
// Thread   main.
// Called   by runtime/commands/order_sender.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace troupe {

class progress_display {
 public:
  /// @param shows  false: nothing is written (--json).
  progress_display(bool shows, bool is_terminal) : shows_(shows), is_terminal_(is_terminal) {}

  /// @param news  a progress as JSON (docs/admin-api.md, "A node of a cluster").
  void show(const std::string& heading, const nlohmann::ordered_json& news);

  /// The lines for a progress.
  [[nodiscard]] static std::string text_of(const std::string& heading,
                                           const nlohmann::ordered_json& news, bool bars);

 private:
  bool shows_;
  bool is_terminal_;
  std::size_t lines_ = 0;  ///< Written, to be written over.
};

}  // namespace troupe
