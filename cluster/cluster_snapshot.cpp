// SPDX-License-Identifier: Apache-2.0
//
// cluster_state: its encoded form. What follows from a signed order is not said beside it, so that
// nothing can contradict its proof.
#include "cluster/cluster_state.hpp"

#include "cluster/order_fields.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr unsigned form = 2;
constexpr std::size_t max_list = 65'536;

template <class Body>
std::optional<std::pair<order, Body>> decoded(const signed_order& what) {
  auto found = order::decode(what.bytes);
  if (!found) return std::nullopt;
  auto* body = std::get_if<Body>(&found->body);
  if (body == nullptr) return std::nullopt;
  Body copy = std::move(*body);
  return std::pair(*std::move(found), std::move(copy));
}

template <class Wire, like<release_info> Release>
void fields(Wire& wire, Release& one) {
  wire.record("release", 6, [&] {
    wire.number("number", one.number);
    wire.number("parent", one.parent);
    wire.number("seq", one.seq);
    wire.time("time", one.time);
    wire.flag("was_active", one.was_active);
    fields(wire, one.ordered);
  });
  if constexpr (Wire::reads) {
    const auto says = decoded<release_order>(one.ordered);
    if (!says) return wire.fail("release");
    one.manifest = says->second.manifest;
    one.manifest_bytes = says->second.manifest_bytes;
    one.author = says->first.author;
    one.message = says->first.message;
  }
}

template <class Wire, like<activation> Activation>
void fields(Wire& wire, Activation& one) {
  wire.record("activation", 2, [&] {
    wire.number("seq", one.seq);
    fields(wire, one.ordered);
  });
  if constexpr (Wire::reads) {
    const auto says = decoded<activate_order>(one.ordered);
    if (!says) return wire.fail("activation");
    one.to = says->second.to;
    one.release = says->second.release;
  }
}

template <class Wire, like<scoped_value> Value>
void fields(Wire& wire, Value& one) {
  wire.record("value", 3, [&] {
    wire.number("seq", one.seq);
    wire.time("time", one.time);
    fields(wire, one.ordered);
  });
  if constexpr (Wire::reads) {
    auto says = decoded<config_order>(one.ordered);
    if (!says || !says->second.value) return wire.fail("value");
    one.scope = std::move(says->second.scope);
    one.value = *std::move(says->second.value);
    one.author = std::move(says->first.author);
  }
}

template <class Wire, like<push_record> Push>
void fields(Wire& wire, Push& one) {
  wire.record("outcome", 6, [&] {
    wire.number("release", one.release);
    wire.choice("step", one.step, push_step::aborted);
    wire.text("reason", one.reason, order::max_message_bytes);
    fields(wire, "to", one.to);
    fields(wire, one.policy);
    wire.number("canary_seq", one.canary_seq);
  });
}

template <class Wire, like<app_state> App>
void under_way_fields(Wire& wire, App& app) {
  wire.optional("under_way", app.under_way, [&](auto& push) {
    wire.record("under_way", 4, [&] {
      wire.number("seq", push.seq);
      wire.choice("step", push.step, push_step::canary);
      wire.number("canary_seq", push.canary_seq);
      fields(wire, app.under_way_order);
    });
    if constexpr (Wire::reads) {
      if (auto says = decoded<release_order>(app.under_way_order)) {
        push.id = says->first.id;
        push.to = std::move(says->second.to);
        push.policy = std::move(says->second.policy);
        for (const auto& [number, release] : app.releases) {
          if (release.seq == push.seq) push.release = number;
        }
      } else if (auto back = decoded<rollback_order>(app.under_way_order)) {
        push.id = back->first.id;
        push.to = std::move(back->second.to);
        push.policy = std::move(back->second.policy);
        push.release = back->second.release;
      }
      if (!app.releases.contains(push.release)) wire.fail("under_way");
    }
  });
}

template <class Wire, like<app_state> App>
void fields(Wire& wire, App& app) {
  wire.record("app", 4, [&] {
    wire.number("last_number", app.last_number);
    if constexpr (Wire::reads) {
      std::vector<release_info> list;
      wire.list("releases", list, max_list, [&](auto& one) { fields(wire, one); });
      for (release_info& one : list) {
        const std::uint32_t number = one.number;
        app.releases.emplace_hint(app.releases.end(), number, std::move(one));
      }
    } else {
      wire.array(static_cast<std::uint32_t>(app.releases.size()));
      for (const auto& [number, one] : app.releases) fields(wire, one);
    }
    wire.list("active", app.active, max_list, [&](auto& one) { fields(wire, one); });
    under_way_fields(wire, app);
  });
  if constexpr (Wire::reads) {
    for (const activation& one : app.active) {
      if (!app.releases.contains(one.release)) wire.fail("active");
    }
  }
}

template <class Wire, like<member_info> Member>
void fields(Wire& wire, Member& one) {
  wire.record("member", 3, [&] {
    wire.number("seq", one.seq);
    wire.text("address", one.address, order::max_address_bytes);
    fields(wire, one.ordered);
  });
  if constexpr (Wire::reads) {
    auto says = decoded<member_order>(one.ordered);
    if (!says || says->second.removed) return wire.fail("member");
    one.name = std::move(says->second.name);
    one.curve = std::move(says->second.curve);
    one.signing = says->second.signing;
    one.may_lead = says->second.may_lead;
  }
}

}  // namespace

struct snapshot_codec {
  template <class Wire, class State>
  static void all(Wire& wire, State& state) {
    wire.place("at", state.at_);
    wire.map("apps", state.apps_, cluster_state::max_apps, order::max_name_bytes,
             [&](auto& app) { fields(wire, app); });
    wire.map("config", state.config_, cluster_state::max_config_values, order::max_config_key_bytes,
             [&](auto& values) {
               wire.list("config", values, cluster_state::max_config_values,
                         [&](auto& value) { fields(wire, value); });
             });
    wire.list("trust", state.trust_, cluster_state::max_trust_orders, [&](auto& one) {
      wire.record("trust", 4, [&] {
        wire.number("seq", one.seq);
        fields(wire, one.ordered);
        wire.text("node_curve", one.node_curve, 40);
        wire.key("node_signing", one.node_signing);
      });
    });
    for (auto* tokens : {&state.tokens_, &state.used_tokens_}) {
      wire.map("tokens", *tokens, max_list, 40, [&](auto& ends) { wire.time("ends", ends); });
    }
    wire.map("members", state.members_, cluster_state::max_members, order::max_name_bytes,
             [&](auto& member) { fields(wire, member); });
    wire.list("leaders", state.leaders_, max_list, [&](auto& one) { leader_fields(wire, one); });
    finished_fields(wire, state);
  }

  template <class Wire, class Leader>
  static void leader_fields(Wire& wire, Leader& one) {
    wire.record("leader", 4, [&] {
      wire.number("seq", one.seq);
      fields(wire, one.promotion);
      wire.number("member_seq", one.member_seq);
      fields(wire, one.membership);
    });
    if constexpr (Wire::reads) {
      auto says = decoded<promote_order>(one.promotion);
      if (!says) return wire.fail("leader");
      one.epoch = says->second.epoch;
      one.name = std::move(says->second.node);
      // Without keys a node leads that is no member, perhaps.
      if (one.membership.bytes.empty()) return;
      const auto who = decoded<member_order>(one.membership);
      if (!who || who->second.name != one.name) return wire.fail("leader");
      one.signing = who->second.signing;
    }
  }

  template <class Wire, class State>
  static void finished_fields(Wire& wire, State& state) {
    struct finished {
      order_id id{};
      std::uint64_t seq = 0;
      std::optional<push_record> push;
    };
    const auto one_of = [&](auto& one) {
      wire.record("finished", 3, [&] {
        wire.id("id", one.id);
        wire.number("seq", one.seq);
        wire.optional("push", one.push, [&](auto& push) { fields(wire, push); });
      });
    };
    std::vector<finished> list;
    if constexpr (Wire::reads) {
      wire.list("finished", list, cluster_state::kept_outcomes, one_of);
      // And for some that follow: all nodes make more room at the same change.
      state.seqs_.reserve(list.size() + list.size() / 2);
      for (finished& one : list) {
        if (!state.seqs_.emplace(one.id, one.seq).second) return wire.fail("finished");
        state.finished_.push_back(one.id);
        if (!one.push) continue;
        one.push->id = one.id;
        one.push->seq = one.seq;
        state.outcomes_.emplace(one.id, *std::move(one.push));
      }
    } else {
      list.reserve(state.finished_.size());
      for (const order_id& id : state.finished_) {
        const push_record* push = state.outcome(id);
        list.push_back(
            {id, state.seqs_.at(id), push != nullptr ? std::optional(*push) : std::nullopt});
      }
      wire.list("finished", list, cluster_state::kept_outcomes, one_of);
    }
  }

  static tl::unexpected<refusal> malformed(std::string_view what) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::malformed,
                .reason = "not a snapshot: its " + std::string(what) + " is wrong",
                .file = {}});
  }

  static tl::unexpected<refusal> unproven(const std::string& what) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::denied,
                .reason = "a snapshot with " + what + " that no key trusted here has ordered",
                .file = {}});
  }

  /// What follows from the lists.
  static bool derive(cluster_state& state) {
    for (auto& [key, values] : state.config_) {
      if (values.empty()) return false;
      state.config_count_ += values.size();
      for (const scoped_value& value : values) {
        const auto says = decoded<config_order>(value.ordered);
        if (says->second.key != key) return false;
        state.config_bytes_ += value.value.size();
      }
    }
    for (auto& [name, app] : state.apps_) {
      const auto is_of = [&name = name](const signed_order& what) {
        const auto says = order::decode(what.bytes);
        return says && says->app == name;
      };
      for (const auto& [number, release] : app.releases) {
        if (number == 0 || number > app.last_number || !is_of(release.ordered)) return false;
      }
      for (const activation& one : app.active) {
        if (!is_of(one.ordered)) return false;
      }
      if (app.under_way && !is_of(app.under_way_order)) return false;
    }
    for (const auto& [name, member] : state.members_) {
      if (name != member.name) return false;
      if (!member.curve.empty() && !state.member_curves_.insert(member.curve).second &&
          state.has_keys()) {
        return false;
      }
    }
    return true;
  }

  /// In the order of the history: a key counts from when one that counted before had it added.
  static tl::expected<void, refusal> take_trust(cluster_state& state) {
    std::uint64_t before = 0;
    for (const auto& entry : state.trust_) {
      const auto says = decoded<trust_order>(entry.ordered);
      if (!says || entry.seq <= before) return malformed("trust");
      before = entry.seq;
      if (!entry.ordered.is_genuine() ||
          !state.could(entry.ordered.signer, key_role::admin, entry.seq)) {
        return unproven("an order of trust");
      }
      state.take_trust(entry, says->second);
    }
    return {};
  }

  static bool leads_rightly(const cluster_state& state, const cluster_state::leader& one) {
    if (!one.promotion.is_genuine() || !state.is_proof(one.membership, one.member_seq)) {
      return false;
    }
    if (state.could(one.promotion.signer, key_role::admin, one.seq)) return true;
    const auto who = decoded<member_order>(one.membership);
    return who && who->second.may_lead && who->second.signing == one.promotion.signer;
  }

  static tl::expected<void, refusal> prove(cluster_state& state) {
    if (auto fine = take_trust(state); !fine) return fine;
    for (const auto& leader : state.leaders_) {
      if (!leads_rightly(state, leader)) return unproven("a controller \"" + leader.name + '"');
    }
    const auto is_by = [&](const signed_order& what, key_role role, std::uint64_t seq) {
      return state.could(what.signer, role, seq) && what.is_genuine();
    };
    for (auto& [name, app] : state.apps_) {
      for (const activation& one : app.active) {
        const bool by_controller = std::ranges::any_of(state.leaders_, [&](const auto& leader) {
          return leader.signing == one.ordered.signer;
        });
        if (!by_controller || !one.ordered.is_genuine()) {
          return unproven("an activation of " + name);
        }
        app.releases.at(one.release).is_proven = true;
      }
      if (app.under_way) {
        if (!is_by(app.under_way_order, key_role::push, app.under_way->seq)) {
          return unproven("a push of " + name);
        }
        app.releases.at(app.under_way->release).is_proven = true;
      }
      for (auto& [number, release] : app.releases) {
        if (release.is_proven && !is_by(release.ordered, key_role::push, release.seq)) {
          return unproven("release " + std::to_string(number) + " of " + name);
        }
      }
    }
    for (const auto& [key, values] : state.config_) {
      for (const scoped_value& value : values) {
        if (!is_by(value.ordered, key_role::config, value.seq))
          return unproven("a value of " + key);
      }
    }
    return {};
  }
};

std::string cluster_state::encode() const {
  wire_writer wire;
  wire.record("snapshot", 11, [&] {
    wire.number("form", form);
    wire.text("kind", "snapshot");
    snapshot_codec::all(wire, *this);
  });
  return std::move(wire.result());
}

tl::expected<cluster_state, refusal> cluster_state::decode(
    std::string_view bytes, const std::map<public_key, trusted_key>& root) {
  wire_reader wire(bytes);
  const std::uint32_t count = wire.array("beginning");
  unsigned its_form = 0;
  wire.number("form", its_form);
  if (!wire.failed() && its_form != form) {
    return tl::unexpected(refusal{.errc = refusal_errc::unsupported,
                                  .reason = "a snapshot of form " + std::to_string(its_form) +
                                            "; this troupe knows " + std::to_string(form),
                                  .file = {}});
  }
  if (wire.text_view("kind", 16) != "snapshot" || count != 11) wire.fail("beginning");
  cluster_state result(root);
  snapshot_codec::all(wire, result);
  if (!wire.failed() && !wire.at_end()) wire.fail("end");
  if (wire.failed()) return snapshot_codec::malformed(wire.problem());
  if (!snapshot_codec::derive(result)) return snapshot_codec::malformed("content");
  if (result.has_keys()) {
    if (auto fine = snapshot_codec::prove(result); !fine) return tl::unexpected(fine.error());
  } else if (!result.trust_.empty()) {
    return tl::unexpected(refusal{.errc = refusal_errc::denied,
                                  .reason = "a snapshot of a cluster with keys, and this node has "
                                            "none: give it a token or the key folder",
                                  .file = {}});
  }
  // The same state has the same bytes: a checkpoint compares them.
  if (result.encode() != bytes) return snapshot_codec::malformed("form");
  return result;
}

}  // namespace troupe::cluster
