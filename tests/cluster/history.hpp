// SPDX-License-Identifier: Apache-2.0
//
// A cluster's history, written order by order: an operator with an admin's key, nodes with keys of
// their own, changes that follow one another.
//
// Called   by tests/cluster.
#pragma once

#include "cluster/cluster_state.hpp"
#include "cluster/curve_key.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cluster {

class history {
 public:
  explicit history(bool with_keys = true)
      : with_keys_(with_keys), root_(make_root()), state(root_) {}

  /// A controller "a" that is a member and was promoted.
  void begin() {
    take(member("a", true), admin);
    take(promote_order{.node = "a", .epoch = 1}, admin);
  }

  [[nodiscard]] const std::map<public_key, trusted_key>& root() const { return root_; }

  signing_key& node_key(const std::string& name) {
    return node_keys_.try_emplace(name, *signing_key::make()).first->second;
  }
  std::string node_curve(const std::string& name) {
    return node_curves_.try_emplace(name, curve_pair::make()->public_key).first->second;
  }
  member_order member(const std::string& name, bool may_lead = false) {
    member_order result{.name = name, .address = "10.0.0.1:7000", .may_lead = may_lead};
    if (with_keys_) {
      result.curve = node_curve(name);
      result.signing = node_key(name).id();
    }
    return result;
  }

  order make(order_body body, std::string app = "shop") const {
    return {.id = new_order_id(),
            .app = std::move(app),
            .author = "ann",
            .message = "why",
            .time = now,
            .expires = now + std::chrono::minutes(1),
            .body = std::move(body)};
  }
  [[nodiscard]] signed_order sign(const order& what, const signing_key& by) const {
    return with_keys_ ? signed_order::make(what, by) : signed_order::make_unsigned(what);
  }
  /// The change that would follow.
  [[nodiscard]] change next(const signed_order& ordered) const {
    change result{.epoch = state.at().epoch,
                  .seq = state.at().seq + 1,
                  .parent = state.at().state,
                  .time = now,
                  .ordered = ordered,
                  .release = 0};
    const auto what = order::decode(ordered.bytes);
    if (!what) return result;
    if (const auto* promote = std::get_if<promote_order>(&what->body))
      result.epoch = promote->epoch;
    if (std::holds_alternative<release_order>(what->body)) {
      const auto app = state.apps().find(what->app);
      result.release = app == state.apps().end() ? 1 : app->second.last_number + 1;
    }
    return result;
  }

  /// It is judged and applied in the same way, and what is refused changes nothing.
  tl::expected<void, refusal> try_order(const signed_order& ordered) {
    const auto judged = state.judge(ordered, now);
    const change one = next(ordered);
    const std::string before = judged ? std::string() : state.encode();
    auto applied = state.apply(one);
    EXPECT_EQ(judged.has_value(), applied.has_value());
    if (!applied) {
      EXPECT_EQ(state.encode(), before);
      return applied;
    }
    changes.push_back(one);
    return applied;
  }
  tl::expected<void, refusal> try_take(order_body body, const signing_key& by,
                                       std::string app = "shop") {
    last = make(std::move(body), std::move(app));
    return try_order(sign(last, by));
  }
  /// @return its id.
  order_id take(order_body body, const signing_key& by, std::string app = "shop") {
    const auto taken = try_take(std::move(body), by, std::move(app));
    EXPECT_TRUE(taken) << (taken ? "" : taken.error().reason);
    return last.id;
  }

  release_order release(std::string_view content = "manifest") const {
    return {.manifest = digest::of(content), .manifest_bytes = 100};
  }
  signing_key& controller() { return node_key(std::string(state.controller())); }
  /// A push to everybody, with its end.
  std::uint32_t push(std::string app = "shop", selector to = {}) {
    release_order what = release(std::to_string(changes.size()));
    what.to = to;
    const order_id id = take(what, admin, app);
    const std::uint32_t number = state.apps().find(app)->second.last_number;
    take(activate_order{.push = id, .release = number, .to = to}, controller(), app);
    return number;
  }

  signing_key admin = *signing_key::make();
  wall_time now{std::chrono::milliseconds(1'767'323'045'678)};
  order last;
  std::vector<change> changes;

 private:
  std::map<public_key, trusted_key> make_root() const {
    if (!with_keys_) return {};
    return {{admin.id(), {.roles = static_cast<key_roles>(key_role::admin), .name = "ann"}}};
  }

  bool with_keys_;
  std::map<public_key, trusted_key> root_;
  std::map<std::string, signing_key> node_keys_;
  std::map<std::string, std::string> node_curves_;

 public:
  cluster_state state;
};

inline constexpr auto push_role = static_cast<key_roles>(key_role::push);
inline constexpr auto config_role = static_cast<key_roles>(key_role::config);

inline void expect_refused(const tl::expected<void, refusal>& result, refusal_errc errc,
                           std::string_view part) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().errc, errc) << result.error().reason;
  EXPECT_NE(result.error().reason.find(part), std::string::npos) << result.error().reason;
}

inline signing_key add_key(history& h, key_roles roles, std::string name) {
  signing_key key = *signing_key::make();
  h.take(trust_order{.key = key.id(), .roles = roles, .name = std::move(name)}, h.admin, "");
  return key;
}

struct token {
  std::string curve = curve_pair::make()->public_key;
  signed_order grant;
};
inline token make_token(history& h, const signing_key& by, bool may_lead = false) {
  token result;
  result.grant = h.sign(h.make(trust_order{.does = trust_order::what::add_token,
                                           .token = result.curve,
                                           .token_ends = h.now + std::chrono::hours(1),
                                           .may_lead = may_lead},
                               ""),
                        by);
  return result;
}
inline member_order with(member_order who, const token& by) {
  who.grant = by.grant.encode();
  return who;
}

}  // namespace troupe::cluster
