// SPDX-License-Identifier: Apache-2.0
//
// What the history amounts to: which releases of which apps there are and are active where, config
// values, who is trusted, who is a member. The fold of all changes; the same on every node.
//
// It also judges: apply() refuses a change whose order is not genuine, whose signer may not order this,
// or that does not fit (an `activate` after the `abort` of its push, a release that is not there …).
// On a cluster without keys (no trusted key at all) unsigned orders are taken.
//
// Source   docs/cluster.md, "State" and "Security".
// Thread   any; a value.
// Errors   refusal; the state is then unchanged.
// Called   by cluster/controller, cluster/follower.
#pragma once

#include "cluster/change.hpp"

#include <map>
#include <set>
#include <vector>

namespace troupe::cluster {

enum class push_step : std::uint8_t { preparing = 1, canary, active, aborted };

/// A push: of a release, or back to one.
struct push_record {
  order_id id{};
  std::uint64_t seq = 0;      ///< Of the change that began it.
  std::uint32_t release = 0;
  push_step step = push_step::preparing;
  std::string reason;  ///< Of an abort.
  selector to;
  push_policy policy;
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
  signed_order ordered;  ///< So that a snapshot proves it.
};

struct activation {
  selector to;
  std::uint32_t release = 0;
  std::uint64_t seq = 0;
  bool operator==(const activation&) const = default;
};

struct app_state {
  std::uint32_t last_number = 0;
  std::map<std::uint32_t, release_info> releases;
  /// The newest that matches a node is its. One for everyone removes those before it.
  std::vector<activation> active;
  std::optional<push_record> under_way;  ///< One at a time for an app.
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
};

struct member_info {
  std::string name;
  std::string curve;
  public_key signing;
  std::string address;
  bool may_lead = false;
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
  [[nodiscard]] tl::expected<void, refusal> apply(const change& next,
                                                  signature_check how = signature_check::needed);
  /// Whether apply() would take this order now, as the next change; for the controller, before it
  /// appends. Does not judge expiry.
  [[nodiscard]] tl::expected<order, refusal> judge(
      const signed_order& what, signature_check how = signature_check::needed) const;

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
  position at_;
  // … the rest is the implementation's.
};

}  // namespace troupe::cluster
