// SPDX-License-Identifier: Apache-2.0
//
// `troupe keys init|list|token|trust|revoke`: who may link to a cluster, and who may order what.
#include <array>

#include "cluster/join_token.hpp"
#include "cluster/key_folder.hpp"
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/spelling.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/time_text.hpp"

namespace troupe {
namespace {

using json = node_call::json;

constexpr std::string_view help =
    "Keys of a cluster: signing keys, which say who may order what, and link keys, which say who may "
    "connect.\n"
    "  init                 makes yours (--keys DIR): an administrator's signing key, the key of your "
    "tools, and the root of trust\n"
    "  list                 your own, and what the cluster trusts\n"
    "  token                one line that lets a node on another machine join, once\n"
    "  trust KEY            lets another signing key order (--role, --holder)\n"
    "  revoke KEY|NODE      takes a signing key's rights, or a node's link, away at once";

constexpr std::string_view examples =
    "  troupe keys init\n"
    "  troupe keys token > /tmp/token      # on the other machine: troupe node --token @/tmp/token\n"
    "  troupe keys trust ed25519:… --role push --holder ci\n"
    "  troupe keys revoke b\n";

int refuse(const shared_flags& flags, const cluster::refusal& why) {
  const bool is_missing = why.errc == cluster::refusal_errc::missing;
  return refuse_with(flags.json, is_missing ? "no_keys" : "refused",
                     {.reason = why.reason, .hint = is_missing ? "`troupe keys init` makes them" : ""},
                     exit_refused);
}

int init(const shared_flags& flags) {
  const auto made = cluster::key_folder::make(flags.keys_path(), command_author());
  if (!made) return refuse(flags, made.error());
  if (flags.json) {
    say(json{{"folder", made->path()},
             {"key", made->signing().id().text()},
             {"tools", made->tools().public_key}}
            .dump());
    return exit_done;
  }
  say("keys in " + made->path() + "\n  signing key  " + made->signing().id().text() +
      " (admin)\n  tools        " + made->tools().public_key +
      "\nKeep signing.key safe, and a copy of it elsewhere: who has it can run code on every node.");
  return exit_done;
}

int list(const shared_flags& flags) {
  json body{{"folder", flags.keys_path()}, {"key", nullptr}, {"tools", nullptr}};
  const auto own = cluster::key_folder::load(flags.keys_path());
  if (own) {
    body["key"] = own->signing().id().text();
    body["tools"] = own->tools().public_key;
  } else if (own.error().errc != cluster::refusal_errc::missing) {
    return refuse(flags, own.error());
  }
  // A node need not run: what the folder says is said all the same.
  body["cluster"] = nullptr;
  shared_flags quietly = flags;
  quietly.json = false;  // One document, whoever answers.
  if (auto node = node_call::to(quietly)) {
    const auto found = node->cluster();
    if (found && !found->is_null()) {
      auto keys = node->ask("GET", "/v1/cluster/keys");
      if (!keys) return keys.error();
      body["cluster"] = *keys;
    }
  }
  if (flags.json) {
    say(body.dump());
    return exit_done;
  }
  if (own) {
    say("yours, in " + flags.keys_path() + "\n  signing key  " + own->signing().id().text() +
        "\n  tools        " + own->tools().public_key);
  } else {
    say("none in " + flags.keys_path());
  }
  if (body["cluster"].is_null()) return exit_done;
  std::vector<std::vector<std::string>> rows{{"KIND", "NAME", "KEY", "ROLES"}};
  for (const json& each : body["cluster"]["trusted"]) {
    std::string roles;
    for (const json& role : each["roles"]) roles += (roles.empty() ? "" : ",") + role.get<std::string>();
    rows.push_back({"signing", each["name"].get<std::string>(), each["key"].get<std::string>(), roles});
  }
  for (const json& each : body["cluster"]["nodes"]) {
    rows.push_back({"node", each["name"].get<std::string>(), each["curve"].get<std::string>(), ""});
  }
  for (const json& each : body["cluster"]["tokens"]) {
    rows.push_back({"token",
                    "until " + time_text(std::chrono::system_clock::time_point(
                                   std::chrono::milliseconds(each["ends"].get<std::int64_t>()))),
                    each["curve"].get<std::string>(), ""});
  }
  say(table_text(rows));
  return exit_done;
}

// An order about keys: no bars, one line.
int order(node_call& node, const shared_flags& flags, cluster::order_body body,
          const std::string& done_text) {
  const auto ended = order_sender(node, flags)
                         .send(new_order({}, std::move(body)), [](const json&) { return ""; }, false);
  if (ended.last.is_null()) return ended.status;
  if (flags.json)
    say(ended.last.dump());
  else if (ended.status == exit_done || ended.status == exit_partly)
    say(done_text);
  complain_of_nodes(ended.last);
  return ended.status;
}

int token(const shared_flags& flags, bool may_lead, const std::string& life) {
  const auto lasts = duration_of(life.empty() ? "1h" : life);
  if (!lasts || lasts->count() < 1000) {
    return wrong_usage(flags.json,
                       {.reason = "--life: \"" + life + "\" is no time", .hint = "1h, 30m"});
  }
  const auto keys = cluster::key_folder::load(flags.keys_path());
  if (!keys) return refuse(flags, keys.error());
  auto node = node_call::to(flags);
  if (!node) return node.error();
  if (auto found = node->need_cluster(); !found) return found.error();
  const auto status = node->ask("GET", "/v1/cluster/status");
  if (!status) return status.error();
  if (!(*status)["reached"].get<bool>()) {
    return node->give_up({.reason = (*status)["reason"].get<std::string>(),
                          .hint = (*status).value("hint", std::string())},
                         "no_controller");
  }
  std::vector<cluster::join_token::node> nodes;
  for (const json& each : (*status)["members"]) {
    if (!each["address"].is_string() || !each["curve"].is_string()) continue;
    nodes.push_back({each["address"].get<std::string>(), each["curve"].get<std::string>()});
  }
  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto made =
      cluster::join_token::make(*keys, std::move(nodes), may_lead, now,
                                std::chrono::duration_cast<std::chrono::seconds>(*lasts));
  if (!made) return refuse(flags, made.error());
  const auto ended = order_sender(*node, flags).send_signed(made->grant);
  if (ended.status != exit_done && ended.status != exit_partly) {
    if (flags.json && !ended.last.is_null()) say(ended.last.dump());
    return ended.status;
  }
  say(flags.json ? json{{"token", made->text()}}.dump() : made->text());
  return exit_done;
}

int trust(const shared_flags& flags, const std::string& key, const std::vector<std::string>& roles,
          const std::string& holder) {
  const auto parsed = cluster::public_key::parse(key);
  if (!parsed) {
    return wrong_usage(flags.json,
                       {.reason = '"' + key + "\" is no signing key",
                        .hint = "ed25519: and 43 characters; `troupe keys list` shows one's own"});
  }
  cluster::trust_order body;
  body.does = cluster::trust_order::what::add;
  body.key = *parsed;
  body.name = holder;
  for (const std::string& each : roles) {
    constexpr std::array<std::pair<std::string_view, cluster::key_role>, 4> known = {
        {{"read", cluster::key_role::read},
         {"config", cluster::key_role::config},
         {"push", cluster::key_role::push},
         {"admin", cluster::key_role::admin}}};
    const auto found = std::ranges::find(known, each, [](const auto& one) { return one.first; });
    if (found == known.end()) {
      return wrong_usage(flags.json, {.reason = "--role: \"" + each + "\" is no role",
                                      .hint = "there are read, config, push and admin"});
    }
    body.roles |= static_cast<cluster::key_roles>(found->second);
  }
  if (body.roles == 0) {
    return wrong_usage(flags.json, {.reason = "`troupe keys trust` needs a --role",
                                    .hint = "read, config, push or admin"});
  }
  auto node = node_call::to(flags);
  if (!node) return node.error();
  if (auto found = node->need_cluster(); !found) return found.error();
  return order(*node, flags, std::move(body), "trusted: " + key);
}

int revoke(const shared_flags& flags, const std::string& what) {
  cluster::trust_order body;
  if (const auto key = cluster::public_key::parse(what)) {
    body.does = cluster::trust_order::what::revoke;
    body.key = *key;
  } else {
    body.does = cluster::trust_order::what::revoke_node;
    body.name = what;
  }
  auto node = node_call::to(flags);
  if (!node) return node.error();
  if (auto found = node->need_cluster(); !found) return found.error();
  return order(*node, flags, std::move(body), "revoked: " + what);
}

}  // namespace

int keys_command(words arguments) {
  std::string verb;
  std::string what;
  std::string holder;
  std::string life;
  bool may_lead = false;
  std::vector<std::string> roles;
  auto flags = parse_words(
      {.name = "keys",
       .help = help,
       .examples = examples,
       .arguments = {{.name = "VERB", .help = "init, list, token, trust or revoke", .value = &verb},
                     {.name = "KEY", .help = "or NODE", .value = &what, .required = false}},
       .flags = {{.name = "--role",
                  .placeholder = "ROLE",
                  .help = "of trust: read, config, push or admin; may be repeated",
                  .value = &roles},
                 {.name = "--holder",
                  .placeholder = "NAME",
                  .help = "of trust: whose key it is",
                  .value = &holder},
                 {.name = "--controller",
                  .placeholder = "",
                  .help = "of token: the node may be a controller",
                  .value = &may_lead},
                 {.name = "--life",
                  .placeholder = "TIME",
                  .help = "of token: how long it is good [1h]",
                  .value = &life}}},
      arguments);
  if (!flags) return flags.error();
  constexpr std::array<std::string_view, 5> verbs = {"init", "list", "token", "trust", "revoke"};
  if (std::ranges::find(verbs, verb) == verbs.end()) {
    const auto near = nearest(verb, verbs);
    return wrong_usage(
        flags->json,
        {.reason = "unknown verb \"" + verb + '"',
         .hint = near.empty() ? "there are init, list, token, trust and revoke"
                              : "did you mean `troupe keys " + std::string(near[0]) + "`?"});
  }
  if ((verb == "trust" || verb == "revoke") && what.empty()) {
    return wrong_usage(flags->json, {.reason = "`troupe keys " + verb + "` needs a key",
                                     .hint = "`troupe keys list` shows them"});
  }
  if (verb == "init") return init(*flags);
  if (verb == "list") return list(*flags);
  if (verb == "token") return token(*flags, may_lead, life);
  if (verb == "trust") return trust(*flags, what, roles, holder);
  return revoke(*flags, what);
}

}  // namespace troupe
