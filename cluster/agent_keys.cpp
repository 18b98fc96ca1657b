// SPDX-License-Identifier: Apache-2.0
#include "cluster/agent_keys.hpp"

#include "cluster/join_token.hpp"
#include "cluster/node_keys.hpp"

#include <utility>

namespace troupe::cluster {

namespace {

using namespace std::chrono_literals;

}  // namespace

tl::expected<agent_keys, refusal> agent_keys::load(const agent::options& how) {
  agent_keys result;
  if (!how.key_folder.empty()) {
    auto folder = key_folder::load(how.key_folder);
    if (folder) {
      result.folder = std::move(*folder);
    } else if (folder.error().errc != refusal_errc::missing && how.token.empty()) {
      return tl::unexpected(folder.error());
    }
  }
  if (!how.token.empty()) {
    const auto token = join_token::parse(how.token);
    if (!token) return tl::unexpected(token.error());
    if (auto kept = node_keys::keep_trust(how.data_folder, token->trust); !kept) {
      return tl::unexpected(kept.error());
    }
    auto pair = curve_pair::of_secret(token->secret);
    if (!pair) return tl::unexpected(pair.error());
    result.token = std::move(*pair);
    result.grant = token->grant.encode();
    const auto granted = order::decode(token->grant.bytes);
    const auto* grant = granted ? std::get_if<trust_order>(&granted->body) : nullptr;
    result.token_may_lead = grant != nullptr && grant->may_lead;
    for (const join_token::node& one : token->nodes) result.token_servers[one.address] = one.curve;
  } else if (result.folder) {
    if (auto kept = node_keys::keep_trust(how.data_folder, result.folder->trust()); !kept) {
      return tl::unexpected(kept.error());
    }
  }
  const auto root = node_keys::trust(how.data_folder);
  if (!root) return tl::unexpected(root.error());
  if (!*root) return result;
  auto own = node_keys::load_or_make(how.data_folder);
  if (!own) return tl::unexpected(own.error());
  result.has_keys = true;
  result.links = std::move(own->link);
  result.signing = std::move(own->signing);
  result.root = (*root)->keys;
  result.tools = (*root)->tools;
  return result;
}

std::string agent_keys::server_at(const std::string& address) const {
  if (const auto found = token_servers.find(address); found != token_servers.end()) {
    return found->second;
  }
  if (!folder) return {};
  const auto known = folder->known_nodes();
  if (!known) return {};
  const auto found = known->find(address);
  return found != known->end() ? found->second : std::string();
}

tl::expected<void, refusal> agent_keys::note_bound(const std::string& address) const {
  if (!folder) return {};
  return folder->remember_node(address, links.public_key);
}

std::optional<signed_order> agent_keys::membership(const std::string& name,
                                                   const std::string& address,
                                                   bool may_lead) const {
  member_order member;
  member.name = name;
  member.address = address;
  member.may_lead = may_lead;
  if (!has_keys) return signed_order::make_unsigned(fresh_order(name, member));
  member.curve = links.public_key;
  member.signing = signing->id();
  if (!grant.empty() && (token_may_lead || !may_lead)) {
    member.grant = grant;
    return signed_order::make(fresh_order(name, member), *signing);
  }
  if (!folder) return std::nullopt;
  return signed_order::make(fresh_order(name, member), folder->signing());
}

signed_order agent_keys::sign(const order& what) const {
  if (!has_keys) return signed_order::make_unsigned(what);
  return signed_order::make(what, folder ? folder->signing() : *signing);
}

order fresh_order(std::string author, order_body body) {
  order made;
  made.id = new_order_id();
  made.author = std::move(author);
  made.time =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  made.expires = made.time + 1h;
  made.body = std::move(body);
  return made;
}

}  // namespace troupe::cluster
