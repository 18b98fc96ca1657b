// SPDX-License-Identifier: Apache-2.0
#include "cluster/follower_impl.hpp"

#include <algorithm>

namespace troupe::cluster {

void follower::impl::on_snapshot(const snapshot_piece& piece, instant now) {
  auto whole = asking.take(piece, now);
  if (!whole) return;
  if (!*whole) {
    set_trouble("the snapshot was not taken: " + whole->error().reason);
    return;
  }
  candidate fresh{cluster_state(how.root), {}, std::move(**whole), {}};
  if (!fresh.bytes.empty()) {
    auto decoded = cluster_state::decode(fresh.bytes, how.root);
    if (!decoded) {
      set_trouble("the snapshot was not taken: " + decoded.error().reason);
      return;
    }
    fresh.state = *std::move(decoded);
  }
  fresh.base = fresh.state.at();
  other = std::move(fresh);
  asking.ask_changes(other->state.at(), now);
}

void follower::impl::on_candidate(changes what, instant now) {
  if (what.need_snapshot) {
    // It was cut away meanwhile: the next one.
    other.reset();
    asking.ask_snapshot(now);
    return;
  }
  const std::size_t genuine = count_genuine(what.list, other->state.has_keys());
  for (std::size_t i = 0; i < what.list.size(); ++i) {
    const change& one = what.list[i];
    const auto done =
        other->state.apply(one, i < genuine ? signature_check::done : signature_check::needed);
    if (!done) {
      set_trouble("another history was not taken: change " + std::to_string(one.seq) + ": " +
                  done.error().reason);
      other.reset();
      return;
    }
    other->since.push_back(one);
  }
  if (!what.list.empty() && other->state.at().seq < what.head.seq) {
    asking.ask_changes(other->state.at(), now);
    return;
  }
  const bool is_taken = accept(now);
  other.reset();
  if (!is_taken) return;
  act(now);
  lacks = false;
  replay(now);
  if (!lacks) say_hello(now);
}

bool follower::impl::accept(instant now) {
  const position& ours = state.at();
  const position& theirs = other->state.at();
  // A snapshot is as good as the checkpoint that follows it, which the controller has signed.
  const bool is_shown =
      other->base.seq == 0 || (!other->since.empty() && has_checkpoint(other->since.front()));
  if (!is_shown) {
    set_trouble("a snapshot was not taken: no signed checkpoint follows it");
    return false;
  }
  const bool is_later = theirs.epoch == ours.epoch && ours.is_before(theirs) &&
                        state.controller() == other->state.controller();
  if (!is_later && !outranks(other->state, state)) {
    if (theirs != ours) {
      set_trouble("the node above has another history, of no higher epoch, and not more of it");
    }
    return false;
  }
  std::vector<change> lost;
  if (theirs.epoch > ours.epoch || state.controller() != other->state.controller()) {
    lost = lost_in(log, state, other->state);
  }
  if (auto kept = log.replace(other->base, other->bytes, other->since, lost); !kept) {
    set_trouble(kept.error().reason);
    log_retry = now + log_again;
    return false;
  }
  if (!lost.empty()) {
    say(log_level::warn,
        "cluster: " + std::to_string(lost.size()) +
            " changes that were acknowledged are not part of the history of epoch " +
            std::to_string(theirs.epoch) + "; `troupe cluster status` on this node lists them");
  }
  say(log_level::notice, "cluster: took the history of epoch " + std::to_string(theirs.epoch) +
                             " up to change " + std::to_string(theirs.seq));
  state = std::move(other->state);
  for (const change& one : other->since) note(one);
  set_trouble({});
  heard_time.reset();
  // Beacons of its controller were none for us before: who gave it to us has time for the next one.
  linked = now;
  if (how.on_state) how.on_state();
  return true;
}

}  // namespace troupe::cluster
