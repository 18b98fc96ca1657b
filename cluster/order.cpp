// SPDX-License-Identifier: Apache-2.0
#include "cluster/order.hpp"

#include "cluster/order_fields.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr unsigned form = 1;
constexpr std::string_view signing_context = "troupe order 1";

/// By the index of order_body.
constexpr std::array<std::string_view, std::variant_size_v<order_body>> kinds = {
    "release", "rollback", "config", "trust",     "member",
    "promote", "activate", "abort",  "checkpoint"};

constexpr std::array<std::pair<key_role, std::string_view>, 4> role_texts = {
    {{key_role::read, "read"},
     {key_role::config, "config"},
     {key_role::push, "push"},
     {key_role::admin, "admin"}}};

template <class Wire, class Number>
void optional_number(Wire& wire, std::string_view field, Number& value) {
  wire.optional(field, value, [&](auto& number) { wire.number(field, number); });
}

template <class Wire, like<release_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("release", 5, [&] {
    wire.name("manifest", body.manifest);
    wire.number("manifest_bytes", body.manifest_bytes);
    optional_number(wire, "expect", body.expect);
    fields(wire, "to", body.to);
    fields(wire, body.policy);
  });
}

template <class Wire, like<rollback_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("rollback", 4, [&] {
    wire.number("release", body.release);
    optional_number(wire, "expect", body.expect);
    fields(wire, "to", body.to);
    fields(wire, body.policy);
  });
}

template <class Wire, like<config_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("config", 4, [&] {
    wire.text("key", body.key, order::max_config_key_bytes);
    wire.optional("value", body.value,
                  [&](auto& value) { wire.bytes("value", value, order::max_bytes); });
    fields(wire, "scope", body.scope);
    optional_number(wire, "previous", body.previous);
  });
}

template <class Wire, like<trust_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("trust", 7, [&] {
    wire.choice("does", body.does, trust_order::what::revoke_node);
    wire.key("key", body.key);
    wire.number("roles", body.roles);
    wire.text("name", body.name, order::max_name_bytes);
    wire.text("token", body.token, 40);
    wire.time("token_ends", body.token_ends);
    wire.flag("may_lead", body.may_lead);
  });
}

template <class Wire, like<member_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("member", 7, [&] {
    wire.text("name", body.name, order::max_name_bytes);
    wire.text("curve", body.curve, 40);
    wire.key("signing", body.signing);
    wire.text("address", body.address, order::max_address_bytes);
    wire.flag("may_lead", body.may_lead);
    wire.flag("removed", body.removed);
    wire.bytes("grant", body.grant, order::max_bytes);
  });
}

template <class Wire, like<promote_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("promote", 2, [&] {
    wire.text("node", body.node, order::max_name_bytes);
    wire.number("epoch", body.epoch);
  });
}

template <class Wire, like<activate_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("activate", 3, [&] {
    wire.id("push", body.push);
    wire.number("release", body.release);
    fields(wire, "to", body.to);
  });
}

template <class Wire, like<abort_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("abort", 2, [&] {
    wire.id("push", body.push);
    wire.text("reason", body.reason, order::max_message_bytes);
  });
}

template <class Wire, like<checkpoint_order> Body>
void body_fields(Wire& wire, Body& body) {
  wire.record("checkpoint", 1, [&] { wire.name("state", body.state); });
}

template <class Wire, class Order>
void head_fields(Wire& wire, Order& what) {
  wire.id("id", what.id);
  wire.text("app", what.app, order::max_name_bytes);
  wire.text("author", what.author, order::max_author_bytes);
  wire.text("message", what.message, order::max_message_bytes);
  wire.time("time", what.time);
  wire.time("expires", what.expires);
}

template <std::size_t I = 0>
void make_body(std::size_t index, order_body& body) {
  if constexpr (I < std::variant_size_v<order_body>) {
    if (index == I) {
      body.emplace<I>();
    } else {
      make_body<I + 1>(index, body);
    }
  }
}

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 40));
  std::ranges::replace_if(
      result, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

tl::unexpected<refusal> malformed(std::string_view field) {
  return tl::unexpected(refusal{.errc = refusal_errc::malformed,
                                .reason = "not an order: its " + std::string(field) + " is wrong",
                                .file = {}});
}

}  // namespace

std::optional<key_role> role_named(std::string_view name) noexcept {
  for (const auto& [role, text] : role_texts) {
    if (text == name) return role;
  }
  return std::nullopt;
}

std::vector<std::string_view> names_of(key_roles roles) {
  std::vector<std::string_view> result;
  for (const auto& [role, text] : role_texts) {
    if ((roles & static_cast<key_roles>(role)) != 0) result.push_back(text);
  }
  return result;
}

order_id new_order_id() {
  order_id result;
  // Two orders with one id would be taken for one: without random numbers there is no going on.
  if (getentropy(result.data(), result.size()) != 0) std::abort();
  return result;
}

std::string text(const order_id& id) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (const std::uint8_t byte : id) {
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result;
}

std::string_view kind_of(const order& what) noexcept {
  return kinds[what.body.index()];
}

std::string order::encode() const {
  wire_writer wire;
  wire.record("order", 9, [&] {
    wire.number("form", form);
    wire.text("kind", kind_of(*this));
    head_fields(wire, *this);
    std::visit([&](const auto& one) { body_fields(wire, one); }, body);
  });
  return std::move(wire.result());
}

tl::expected<order, refusal> order::decode(std::string_view bytes) {
  if (bytes.size() > max_bytes) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::too_large,
                .reason = "an order of more than " + std::to_string(max_bytes) + " bytes",
                .file = {}});
  }
  // Strict, unlike a message: an order that one node does less of than another would part them.
  wire_reader wire(bytes);
  const std::uint32_t count = wire.array("order");
  unsigned its_form = 0;
  wire.number("form", its_form);
  if (wire.failed()) return malformed(wire.problem());
  if (its_form != form) {
    return tl::unexpected(refusal{.errc = refusal_errc::unsupported,
                                  .reason = "an order of form " + std::to_string(its_form) +
                                            "; this troupe knows " + std::to_string(form),
                                  .file = {}});
  }
  const std::string_view kind = wire.text_view("kind", 64);
  if (wire.failed()) return malformed(wire.problem());
  const auto at = std::ranges::find(kinds, kind);
  if (at == kinds.end()) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::unsupported,
                .reason = "an order \"" + printable(kind) + "\", which this troupe does not know",
                .file = {}});
  }
  if (count != 9) return malformed("number of fields");
  order result;
  head_fields(wire, result);
  make_body(static_cast<std::size_t>(at - kinds.begin()), result.body);
  std::visit([&](auto& one) { body_fields(wire, one); }, result.body);
  if (!wire.failed() && !wire.at_end()) wire.fail("end");
  if (wire.failed()) return malformed(wire.problem());
  return result;
}

signed_order signed_order::make(const order& what, const signing_key& by) {
  signed_order result{.bytes = what.encode(), .signer = by.id(), .signature = {}};
  result.signature = by.sign(signing_context, result.bytes);
  return result;
}

signed_order signed_order::make_unsigned(const order& what) {
  return {.bytes = what.encode(), .signer = {}, .signature = {}};
}

bool signed_order::is_genuine() const {
  return !signature.empty() && signer.verify(signing_context, bytes, signature);
}

std::string signed_order::encode() const {
  wire_writer wire;
  fields(wire, *this);
  return std::move(wire.result());
}

tl::expected<signed_order, refusal> signed_order::decode(std::string_view bytes) {
  wire_reader wire(bytes);
  signed_order result;
  fields(wire, result);
  if (!wire.failed() && !wire.at_end()) wire.fail("end");
  if (wire.failed()) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::malformed,
                .reason = "not a signed order: its " + std::string(wire.problem()) + " is wrong",
                .file = {}});
  }
  return result;
}

}  // namespace troupe::cluster
