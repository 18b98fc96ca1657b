// SPDX-License-Identifier: Apache-2.0
//
// What somebody wants of the whole cluster, as they signed it: a release, going back to one, a
// config value, a key, a member, another controller. Signatures cover the encoded bytes, which
// nobody parses before the signature has been checked.
//
// The controller's own orders (activate, abort, checkpoint) are signed with its node's signing key.
//
// Source   docs/cluster.md, "Orders"; msgpack's specification.
// Thread   any; values.
// Errors   decode() takes bytes of strangers: bounded; `malformed` names the field, `unsupported` a
//          form or kind that this troupe does not know. There are no optional fields: a newer
//          troupe that says more uses a new form or kind, and nodes that do not know it stay where
//          they are.
// Called   by cluster/change, cluster/controller, cluster/follower, `troupe push` and its kin.
#pragma once

#include "cluster/digest.hpp"
#include "cluster/refusal.hpp"
#include "cluster/selector.hpp"
#include "cluster/signing_key.hpp"

#include <tl/expected.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe::cluster {

using wall_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// Chosen by who orders; an order that comes again is answered with its outcome and not done twice.
using order_id = std::array<std::uint8_t, 16>;
[[nodiscard]] order_id new_order_id();
[[nodiscard]] std::string text(const order_id& id);  ///< 32 hex digits.

/// What a key may order. `admin` may do all.
enum class key_role : std::uint8_t { read = 1, config = 2, push = 4, admin = 8 };
using key_roles = std::uint8_t;  ///< key_role, or'ed.
[[nodiscard]] std::optional<key_role> role_named(std::string_view name) noexcept;
/// "config", "push": those that it has.
[[nodiscard]] std::vector<std::string_view> names_of(key_roles roles);

/// When an order is good enough for `activate`.
struct push_policy {
  unsigned require_percent = 100;  ///< Of the live nodes that it is for, that must be ready.
  std::chrono::milliseconds prepare_deadline{10'000};
  unsigned canary_percent = 0;  ///< 0: none. These go first.
  std::chrono::milliseconds canary_watch{0};
  std::string stop_if;  ///< "errors>1%": a gate of the canary.
  bool operator==(const push_policy&) const = default;
};

struct release_order {
  digest manifest;  ///< Of its encoded bytes: a blob as the contents are.
  std::uint64_t manifest_bytes = 0;
  std::optional<std::uint32_t> expect;  ///< The app's release that must be active, of everyone.
  selector to;
  push_policy policy;
  bool operator==(const release_order&) const = default;
};
struct rollback_order {
  std::uint32_t release = 0;  ///< Of this app, from the history.
  std::optional<std::uint32_t> expect;
  selector to;
  push_policy policy;
  bool operator==(const rollback_order&) const = default;
};
struct config_order {
  std::string key;
  std::optional<std::string> value;  ///< As runtime/config_values encodes it; none: unset.
  selector scope;
  std::optional<std::uint64_t> previous;  ///< The seq of the change that set it last; 0: not set.
  bool operator==(const config_order&) const = default;
};
/// A grant lets one new node make itself a member, without an administrator's key at hand.
struct trust_order {
  enum class what : std::uint8_t { add = 1, revoke, add_token, revoke_node };
  what does = what::add;
  public_key key;         ///< add, revoke.
  key_roles roles = 0;    ///< add.
  std::string name;       ///< add: whose; revoke_node: the node.
  std::string token;      ///< add_token (a grant): the public CURVE key of a join token (Z85).
  wall_time token_ends;   ///< add_token.
  bool may_lead = false;  ///< add_token: the new member may be a controller.
  bool operator==(const trust_order&) const = default;
};
struct member_order {
  std::string name;
  std::string curve;    ///< Its CURVE key, Z85; empty: on a cluster without keys.
  public_key signing;   ///< Of its signing key: what it signs with as a controller.
  std::string address;  ///< host:port of its announcements and requests; empty: it binds none.
  bool may_lead =
      false;  ///< May be a controller: it may promote itself where there is none, or in etcd.
  bool removed = false;
  /// Signed by an administrator; or by the new member itself (`signing`) with the encoded
  /// signed_order of an add_token order, whose token is used up by it.
  std::string grant;
  bool operator==(const member_order&) const = default;
};
struct promote_order {
  std::string node;
  std::uint64_t epoch = 0;  ///< The new one.
  bool operator==(const promote_order&) const = default;
};
struct activate_order {
  order_id push{};
  std::uint32_t release = 0;
  selector to;  ///< For a canary narrower than the push.
  bool operator==(const activate_order&) const = default;
};
struct abort_order {
  order_id push{};
  std::string reason;
  bool operator==(const abort_order&) const = default;
};
struct checkpoint_order {
  digest state;  ///< Of cluster_state::encode() as it is before this change.
  bool operator==(const checkpoint_order&) const = default;
};

using order_body =
    std::variant<release_order, rollback_order, config_order, trust_order, member_order,
                 promote_order, activate_order, abort_order, checkpoint_order>;

struct order {
  order_id id{};
  std::string app;  ///< "default" if one does not say; empty where it makes no sense.
  std::string author;
  std::string message;
  wall_time time;
  wall_time expires;  ///< Judged by the controller when it takes the order, by nobody else.
  order_body body;

  static constexpr std::size_t max_bytes = 64 * 1024;
  static constexpr std::size_t max_name_bytes = 64;  ///< Of an app, a node, a key's holder.
  static constexpr std::size_t max_author_bytes = 256;
  static constexpr std::size_t max_message_bytes = 4096;  ///< Also of the reason of an abort.
  static constexpr std::size_t max_address_bytes = 280;
  static constexpr std::size_t max_config_key_bytes = 255;
  static constexpr std::size_t max_stop_if_bytes = 256;
  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static tl::expected<order, refusal> decode(std::string_view bytes);
  bool operator==(const order&) const = default;
};

/// "release", "config" …: for logs.
[[nodiscard]] std::string_view kind_of(const order& what) noexcept;

/// The bytes of an order and who signed them.
struct signed_order {
  std::string bytes;
  public_key signer;
  std::string signature;  ///< 64 bytes; empty: unsigned, on a cluster without keys.

  [[nodiscard]] static signed_order make(const order& what, const signing_key& by);
  [[nodiscard]] static signed_order make_unsigned(const order& what);
  /// Not whether the signer may: that is cluster_state's.
  [[nodiscard]] bool is_genuine() const;
  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static tl::expected<signed_order, refusal> decode(std::string_view bytes);
  bool operator==(const signed_order&) const = default;
};

}  // namespace troupe::cluster
