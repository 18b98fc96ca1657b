// SPDX-License-Identifier: Apache-2.0
#include "cluster/join_token.hpp"

#include "cluster/base64url.hpp"
#include "cluster/order_fields.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr unsigned form = 1;
constexpr std::string_view prefix = "troupe1-";
constexpr std::size_t check_bytes = 4;

tl::unexpected<refusal> wrong(std::string reason) {
  return tl::unexpected(
      refusal{.errc = refusal_errc::malformed, .reason = std::move(reason), .file = {}});
}

struct key_entry {
  public_key key;
  trusted_key trusted;
};

template <class Wire, like<join_token> Token>
void token_fields(Wire& wire, Token& token, std::vector<key_entry>& keys) {
  wire.text("secret", token.secret, 40);
  fields(wire, token.grant);
  wire.list("keys", keys, trust_root::max_keys, [&](auto& one) {
    wire.record("key", 3, [&] {
      wire.key("key", one.key);
      wire.number("roles", one.trusted.roles, 15);
      wire.text("name", one.trusted.name, order::max_name_bytes);
    });
  });
  wire.list("tools", token.trust.tools, trust_root::max_tools,
            [&](auto& one) { wire.text("tools", one, 40); });
  wire.list("nodes", token.nodes, join_token::max_nodes, [&](auto& one) {
    wire.record("node", 2, [&] {
      wire.text("address", one.address, order::max_address_bytes);
      wire.text("curve", one.curve, 40);
    });
  });
}

}  // namespace

tl::expected<join_token, refusal> join_token::make(const key_folder& keys, std::vector<node> nodes,
                                                   bool may_lead, wall_time now,
                                                   std::chrono::seconds life) {
  auto pair = curve_pair::make();
  if (!pair) return tl::unexpected(pair.error());
  const auto holder = keys.trust().keys.find(keys.signing().id());
  const order grant{.id = new_order_id(),
                    .app = {},
                    .author = holder != keys.trust().keys.end() ? holder->second.name : "",
                    .message = "join token",
                    .time = now,
                    .expires = now + life,
                    .body = trust_order{.does = trust_order::what::add_token,
                                        .key = {},
                                        .roles = 0,
                                        .name = {},
                                        .token = pair->public_key,
                                        .token_ends = now + life,
                                        .may_lead = may_lead}};
  return join_token{.secret = pair->secret_key,
                    .grant = signed_order::make(grant, keys.signing()),
                    .trust = keys.trust(),
                    .nodes = std::move(nodes)};
}

std::string join_token::text() const {
  std::vector<key_entry> keys;
  for (const auto& [key, trusted] : trust.keys) keys.push_back({key, trusted});
  wire_writer wire;
  wire.record("token", 6, [&] {
    wire.number("form", form);
    token_fields(wire, *this, keys);
  });
  std::string bytes = std::move(wire.result());
  bytes += digest::of(bytes).raw().substr(0, check_bytes);
  return std::string(prefix) + to_base64url(bytes);
}

tl::expected<join_token, refusal> join_token::parse(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return wrong("the join token is empty");
  text = text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
  if (!text.starts_with(prefix)) {
    if (text.starts_with("troupe")) {
      return tl::unexpected(refusal{.errc = refusal_errc::unsupported,
                                    .reason = "a join token of a newer troupe",
                                    .file = {}});
    }
    return wrong("no join token: one begins with \"" + std::string(prefix) +
                 "\" (`troupe keys token` prints it)");
  }
  if (text.size() > max_text_bytes) return wrong("no join token: it is too long");
  const auto bytes = from_base64url(text.substr(prefix.size()));
  if (!bytes || bytes->size() <= check_bytes ||
      digest::of(std::string_view(*bytes).substr(0, bytes->size() - check_bytes))
              .raw()
              .substr(0, check_bytes) !=
          std::string_view(*bytes).substr(bytes->size() - check_bytes)) {
    return wrong("the join token is cut or mistyped: copy the whole line");
  }
  wire_reader wire(std::string_view(*bytes).substr(0, bytes->size() - check_bytes));
  const std::uint32_t count = wire.array("beginning");
  unsigned its_form = 0;
  wire.number("form", its_form);
  if (!wire.failed() && its_form != form) {
    return tl::unexpected(refusal{
        .errc = refusal_errc::unsupported, .reason = "a join token of a newer troupe", .file = {}});
  }
  if (count != 6) wire.fail("number of fields");
  join_token result;
  std::vector<key_entry> keys;
  token_fields(wire, result, keys);
  if (!wire.failed() && !wire.at_end()) wire.fail("end");
  for (key_entry& one : keys) {
    if (one.trusted.roles == 0) wire.fail("roles");
    result.trust.keys.insert_or_assign(one.key, std::move(one.trusted));
  }
  const auto is_node = [](const node& one) {
    return !one.address.empty() && is_curve_key(one.curve);
  };
  if (!is_curve_key(result.secret)) wire.fail("secret");
  if (result.trust.keys.empty()) wire.fail("keys");
  if (!std::ranges::all_of(result.trust.tools, is_curve_key)) wire.fail("tools");
  if (!std::ranges::all_of(result.nodes, is_node)) wire.fail("nodes");
  if (wire.failed()) {
    return wrong("no join token: its " + std::string(wire.problem()) + " is wrong");
  }
  return result;
}

}  // namespace troupe::cluster
