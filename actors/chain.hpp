// SPDX-License-Identifier: Apache-2.0
//
// A chain: the stages of one location (or of a server, before the location is known) in phase
// order, as they live on one shard. Each hop is a letter.
//
// Thread   shard. Immutable once its release is live.
// Called   by actors/exchange_actor (begin), actors/stage (pass_on).
#pragma once

#include <caf/all.hpp>
#include <vector>

#include "actors/stage.hpp"

namespace troupe::actors {

class chain {
public:
  struct link {
    link(lua::phase phase, caf::strong_actor_ptr actor);
    lua::phase where;
    caf::strong_actor_ptr actor;
    stage* ours;  ///< The same; null: an actor that is not of this kind and is told `enter_stage`.
  };

  void append(link l) { links_.push_back(std::move(l)); }
  [[nodiscard]] bool empty() const noexcept { return links_.empty(); }
  [[nodiscard]] const std::vector<link>& links() const noexcept { return links_; }
  /// Replaces a stage by another one, or by any actor that understands `enter_stage` and calls
  /// pass_on(), on the shard's thread.
  void replace(std::size_t index, caf::strong_actor_ptr actor) {
    links_[index] = link(links_[index].where, std::move(actor));
  }

  /// Sends the exchange to the first stage; to its owner if there is none.
  void begin(const exchange_ref& exchange) const;
  /// Sends it where the verdict of the stage at exchange.position says.
  void pass_on(const exchange_ref& exchange, verdict v) const;
  /// Sends it to the stage that it waited in.
  void enter_again(const exchange_ref& exchange) const;
  /// Has the stage at exchange.position do its work. For the letter.
  void work(const exchange_ref& exchange) const;
  [[nodiscard]] lua::phase phase_at(std::uint32_t position) const noexcept {
    return position < links_.size() ? links_[position].where : lua::phase::none;
  }

private:
  void enter(const exchange_ref& exchange, std::size_t index) const;
  std::vector<link> links_;
};

}  // namespace troupe::actors
