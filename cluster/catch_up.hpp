// SPDX-License-Identifier: Apache-2.0
//
// One question at a time for history that a node lacks, asked again until it is answered: the
// changes after a position, or a snapshot in pieces.
//
// Source   docs/cluster.md, "Joining and catching up".
// Thread   cluster.
// Called   by cluster/follower.
#pragma once

#include "cluster/links.hpp"

#include <optional>

namespace troupe::cluster {

class catch_up {
 public:
  catch_up(upper_link& upper, std::function<std::uint64_t()> next_ask);

  /// Nothing happens while it waits for an answer.
  void ask_changes(const position& after, instant now);
  void ask_snapshot(instant now);
  [[nodiscard]] bool is_asking() const noexcept { return what_ != asking::nothing; }
  [[nodiscard]] bool is_asking_snapshot() const noexcept { return what_ == asking::snapshot; }

  /// @return whether it answers the question, which is then no more.
  [[nodiscard]] bool answers(const changes& answer);
  /// The snapshot when it is whole (empty: the beginning of history); an error when it cannot be
  /// one.
  [[nodiscard]] std::optional<tl::expected<std::string, refusal>> take(const snapshot_piece& piece,
                                                                       instant now);
  /// The link is new, or the answer is not wanted any more.
  void reset();
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;

 private:
  enum class asking { nothing, changes, snapshot };
  void send(instant now);

  upper_link& upper_;
  std::function<std::uint64_t()> next_ask_;
  asking what_ = asking::nothing;
  std::uint64_t ask_ = 0;
  position after_;
  digest snapshot_;
  std::string bytes_;
  std::uint64_t total_ = 0;
  unsigned silences_ = 0;
  instant deadline_;
};

}  // namespace troupe::cluster
