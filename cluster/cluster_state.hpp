// SPDX-License-Identifier: Apache-2.0
//
// What the history amounts to: which releases of which apps there are and are active where, config
// values, who is trusted, who is a member. The fold of all changes; the same on every node.
//
// It also judges: apply() refuses a change whose order is not genuine, whose signer may not order
// this, or that does not fit (an `activate` after the `abort` of its push, a release that is not
// there …). On a cluster without keys (no trusted key at all) unsigned orders are taken.
//
// Who may order what (an admin: all of it)
//   release, rollback       a key with the role push
//   config                  a key with the role config
//   trust, promote          an admin; a member that may lead: the promotion of itself
//   member                  an admin; the node itself with a grant of one, or for its address alone
//   activate, abort, checkpoint   the controller: the node that was promoted last, by its own key
// The first changes of a cluster are of epoch 0: the member order of its controller, and the
// promotion, which is the first of epoch 1.
//
// What is kept: of each app the newest 20 releases, and older ones that are active or under way;
// outcomes of the last 10,000 orders of people. A key or node that was revoked stays so: it comes
// back with new keys only, or an old order could be played again. A controller that was taken over
// could play a config order again that came before the last 10,000, unless it has `previous`.
//
// The encoded form has the orders themselves, not only what came of them. So decode() believes none
// but keys that the receiver trusts itself, or that those trusted: it checks the orders of trust,
// promotions, active and present releases, activations and config values at once; those of older
// releases and of members when somebody goes back to one, or promotes one.
//
// Source   docs/cluster.md, "State" and "Security".
// Thread   any; a value. A copy takes as long as what is in it (10,000 outcomes: a millisecond).
// Errors   refusal; the state is then unchanged.
// Called   by cluster/controller, cluster/follower.
#pragma once

#include "cluster/change.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace troupe::cluster {

enum class push_step : std::uint8_t { preparing = 1, canary, active, aborted };

/// A push: of a release, or back to one.
struct push_record {
  order_id id{};
  std::uint64_t seq = 0;  ///< Of the change that began it.
  std::uint32_t release = 0;
  push_step step = push_step::preparing;
  std::string reason;  ///< Of an abort.
  selector to;
  push_policy policy;
  std::uint64_t canary_seq = 0;  ///< Of the activation for the canary; 0: none.
};

struct release_info {
  std::uint32_t number = 0;
  std::uint32_t parent = 0;  ///< Active for everyone when it was ordered; 0: none.
  std::uint64_t seq = 0;
  digest manifest;
  std::uint64_t manifest_bytes = 0;
  std::string author;
  std::string message;
  wall_time time;
  bool was_active = false;  ///< On all that it is for, once: worth going back to.
  signed_order ordered;     ///< So that a snapshot proves it.
  bool is_proven = false;   ///< Here: `ordered` has been checked.
};

struct activation {
  selector to;
  std::uint32_t release = 0;
  std::uint64_t seq = 0;
  signed_order ordered;
  bool operator==(const activation&) const = default;
};

struct app_state {
  std::uint32_t last_number = 0;
  std::map<std::uint32_t, release_info> releases;
  /// The newest that matches a node is its. One for everyone removes those before it.
  std::vector<activation> active;
  std::optional<push_record> under_way;  ///< One at a time for an app.
  signed_order under_way_order;          ///< What began it.
  [[nodiscard]] std::uint32_t active_on(std::string_view node, const label_map& labels) const;
  [[nodiscard]] std::uint32_t active_everywhere() const;  ///< 0: none.
};

struct scoped_value {
  selector scope;
  std::string value;
  std::uint64_t seq = 0;
  std::string author;
  wall_time time;
  signed_order ordered;
};

struct trusted_key {
  key_roles roles = 0;
  std::string name;
  bool operator==(const trusted_key&) const = default;
};

struct member_info {
  std::string name;
  std::string curve;
  public_key signing;
  std::string address;  ///< Says the node; all else is in `ordered`.
  bool may_lead = false;
  std::uint64_t seq = 0;   ///< Of the change that made it one.
  signed_order ordered;    ///< By an admin, or with the grant of one.
  bool is_proven = false;  ///< Here: `ordered` has been checked.
};

/// Whether somebody has called ordered.is_genuine() already: on several threads, for many changes.
enum class signature_check : std::uint8_t { needed, done };

class cluster_state {
 public:
  /// @param root  keys trusted from the beginning (a node's own trust file); none: no keys at all.
  explicit cluster_state(std::map<public_key, trusted_key> root = {});

  [[nodiscard]] const position& at() const noexcept { return at_; }
  /// Only the change that follows at(). A checkpoint whose digest is not that of encode() is a
  /// `conflict`.
  /// It judges no time: not whether an order has expired, nor a grant.
  [[nodiscard]] tl::expected<void, refusal> apply(const change& next,
                                                  signature_check how = signature_check::needed);
  /// Whether apply() would take this order now, as the next change; for the controller, before it
  /// appends. Does not judge whether the order has expired, but whether the grant of a new member
  /// has.
  [[nodiscard]] tl::expected<order, refusal> judge(
      const signed_order& what, wall_time now, signature_check how = signature_check::needed) const;

  [[nodiscard]] const std::map<std::string, app_state, std::less<>>& apps() const noexcept;
  /// By key; the scoped ones of a key by age.
  [[nodiscard]] const std::map<std::string, std::vector<scoped_value>, std::less<>>& config()
      const noexcept;
  /// What a node sees: scoped ones win over unscoped, the newest of them.
  [[nodiscard]] std::map<std::string, std::string, std::less<>> config_of(
      std::string_view node, const label_map& labels) const;
  [[nodiscard]] const std::map<public_key, trusted_key>& trusted() const noexcept;
  [[nodiscard]] const std::map<std::string, member_info, std::less<>>& members() const noexcept;
  /// CURVE keys that may connect now: members', and join tokens' that have not ended.
  [[nodiscard]] const std::map<std::string, wall_time, std::less<>>& tokens() const noexcept;
  [[nodiscard]] bool has_keys() const noexcept;
  [[nodiscard]] std::string_view controller() const noexcept;  ///< The last promoted; may be empty.
  /// What made it that, as an administrator signed it; empty bytes: nobody was promoted yet.
  [[nodiscard]] const signed_order& promotion() const noexcept;
  /// The outcome of an order that is done with (the last 10,000), by its id.
  [[nodiscard]] const push_record* outcome(const order_id& id) const;
  [[nodiscard]] std::optional<std::uint64_t> seq_of(const order_id& id) const;

  /// Canonical: the same state has the same bytes everywhere. It is the snapshot too.
  [[nodiscard]] std::string encode() const;
  /// Verifies what is signed in it; the root keys are the receiver's own.
  [[nodiscard]] static tl::expected<cluster_state, refusal> decode(
      std::string_view bytes, const std::map<public_key, trusted_key>& root);

 private:
  friend struct snapshot_codec;
  static constexpr std::size_t max_apps = 1'000;
  static constexpr std::size_t max_activations = 256;  ///< Of an app.
  static constexpr std::size_t kept_releases = 20;  ///< Of an app: of those that were active …
  static constexpr std::size_t kept_aborted = 5;    ///< … and of those that never were.
  static constexpr std::size_t kept_outcomes = 10'000;
  static constexpr std::size_t max_config_values = 10'000;
  static constexpr std::size_t max_config_bytes = 16 * 1024 * 1024;
  static constexpr std::size_t max_members = 20'000;
  static constexpr std::size_t max_trust_orders = 20'000;
  static constexpr std::size_t max_tokens = 20'000;
  static constexpr std::uint64_t max_epoch_step = 1'000'000;

  struct order_id_hash {
    std::size_t operator()(const order_id& id) const noexcept;
  };
  struct trust_entry {  ///< An order that adds or revokes.
    std::uint64_t seq = 0;
    signed_order ordered;
    std::string node_curve;  ///< revoke_node: its keys then.
    public_key node_signing;
  };
  struct added_key {
    trusted_key key;
    std::uint64_t seq = 0;
  };
  struct leader {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::string name;
    public_key signing;
    signed_order promotion;
    signed_order membership;
    std::uint64_t member_seq = 0;
  };
  using judged = tl::expected<void, refusal>;

  [[nodiscard]] judged judge_place(const change& next, const order& what) const;
  [[nodiscard]] judged judge_order(const signed_order& signed_one, const order& what,
                                   std::optional<wall_time> now) const;
  [[nodiscard]] judged judge_push(const order& what, const selector& to, const push_policy& policy,
                                  std::optional<std::uint32_t> expect) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const release_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const rollback_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const config_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const trust_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const member_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const promote_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const activate_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const abort_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_body(const signed_order&, const order&, const checkpoint_order&,
                                  std::optional<wall_time>) const;
  [[nodiscard]] judged judge_grant(const member_order& who, std::optional<wall_time> now) const;
  [[nodiscard]] judged needs(const signed_order& what, key_role role) const;
  [[nodiscard]] judged needs_controller(const signed_order& what) const;
  /// Whether a key could order this at that place of the history.
  [[nodiscard]] bool could(const public_key& signer, key_role role, std::uint64_t seq) const;
  /// Of a member order: by an admin, or by the member with a grant.
  [[nodiscard]] bool is_proof(const signed_order& what, std::uint64_t seq) const;

  void take(const change& next, const order& what);
  void take_body(const change&, const order&, const release_order&);
  void take_body(const change&, const order&, const rollback_order&);
  void take_body(const change&, const order&, const config_order&);
  void take_body(const change&, const order&, const trust_order&);
  void take_body(const change&, const order&, const member_order&);
  void take_body(const change&, const order&, const promote_order&);
  void take_body(const change&, const order&, const activate_order&);
  void take_body(const change&, const order&, const abort_order&);
  void take_body(const change&, const order&, const checkpoint_order&);
  void take_trust(const trust_entry& entry, const trust_order& what);
  void begin_push(const change& next, const order& what, std::uint32_t release, const selector& to,
                  const push_policy& policy);
  void end_push(app_state& of, push_step how, std::string reason);
  void remember(const order_id& id, std::uint64_t seq);
  void prune_releases(app_state& of);
  void prune_leaders();
  void drop_member(std::string_view name);
  void refresh_trusted();

  position at_;
  std::map<public_key, trusted_key> root_;
  std::map<std::string, app_state, std::less<>> apps_;
  std::map<std::string, std::vector<scoped_value>, std::less<>> config_;
  std::size_t config_count_ = 0;
  std::size_t config_bytes_ = 0;
  std::vector<trust_entry> trust_;
  std::map<public_key, std::vector<added_key>> added_;  // from trust_
  std::map<public_key, std::uint64_t> revoked_;         // from trust_: by seq
  std::set<std::string, std::less<>> revoked_curves_;   // from trust_
  std::map<public_key, trusted_key> trusted_;           // of the root and added, less revoked
  std::map<std::string, wall_time, std::less<>> tokens_;
  std::map<std::string, wall_time, std::less<>> used_tokens_;
  std::map<std::string, member_info, std::less<>> members_;
  std::unordered_set<std::string> member_curves_;  // of members_
  std::vector<leader> leaders_;                    ///< The last is the controller.
  std::deque<order_id> finished_;                  ///< The oldest first.
  std::unordered_map<order_id, std::uint64_t, order_id_hash> seqs_;    ///< Of finished_.
  std::unordered_map<order_id, push_record, order_id_hash> outcomes_;  ///< Of pushes in finished_.
};

/// A name of a node or an app: letters, digits and - _ . ; at most 64 of them.
[[nodiscard]] bool is_cluster_name(std::string_view text);

}  // namespace troupe::cluster
