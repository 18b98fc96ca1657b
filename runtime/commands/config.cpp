// SPDX-License-Identifier: Apache-2.0
//
// `troupe config get|set|unset|list|watch|history`: the config values of a running node.
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/spelling.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/node_config.hpp"

#include <array>

namespace troupe {
namespace {

using json = node_call::json;

constexpr std::string_view help =
    "Small typed values that change while a node runs, without a release. In Lua "
    "troupe.config.get(KEY), in nginx.conf $config_KEY.\n"
    "  get KEY           prints the value\n"
    "  set KEY VALUE     a number, true, false, a JSON table, or else a string (--type)\n"
    "  unset KEY         takes it away\n"
    "  list [PREFIX]     all, with type, version, time and author\n"
    "  watch [PREFIX]    prints each change as it happens, until Ctrl-C\n"
    "  history [KEY]     each change that there was, the newest first, with who and when; of one node";

constexpr std::string_view examples =
    "  troupe config set limits.rate 500\n"
    "  troupe config set banner 123 --type string\n"
    "  troupe config get limits.rate\n"
    "  troupe config watch limits. --json\n";

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

int get(node_call& node, const shared_flags& flags, const std::string& key) {
  const auto entry = node.ask("GET", "/v1/config/" + target_word(key));
  if (!entry) return entry.error();
  say(flags.json ? entry->dump() : text_of((*entry)["value"]));
  return exit_done;
}

// Of a cluster: an order, which every node applies.
int order(node_call& node, const shared_flags& flags, const std::string& key,
          const std::optional<config_value>& value, const order_words& wanted) {
  const auto scope = wanted.selector();
  if (!scope) return wrong_usage(flags.json, scope.error());
  cluster::config_order body;
  body.key = key;
  if (value) body.value = encode_config(*value);
  body.scope = *scope;
  const auto ended = order_sender(node, flags)
                         .send(new_order({}, std::move(body)), [](const json&) { return ""; }, false);
  if (ended.last.is_null()) return ended.status;
  if (flags.json) say(ended.last.dump());
  complain_of_nodes(ended.last);
  return ended.status;
}

int set_everywhere(node_call& node, const shared_flags& flags, const std::string& key,
                   const std::string& text_given, const std::string& type,
                   const order_words& wanted) {
  const auto value = config_from_text(text_given, type);
  auto problem = value ? check_config(key, *value) : std::optional(value.error());
  if (!problem) return order(node, flags, key, *value, wanted);
  return refuse_with(flags.json, "bad_value", *problem, exit_refused);
}

int unset_everywhere(node_call& node, const shared_flags& flags, const std::string& key,
                     const order_words& wanted) {
  const auto scope = wanted.selector();
  if (!scope) return wrong_usage(flags.json, scope.error());
  // That there is none is said at once, as one node says it. The node need not be one that sees it.
  const auto all = node.ask("GET", "/v1/config?prefix=" + target_word(key));
  if (!all) return all.error();
  std::string others;
  for (const json& each : *all) {
    if (each["key"] != key) continue;
    const std::string its = each["scope"].is_string() ? text_of(each["scope"]) : std::string();
    if (its == scope->text()) return order(node, flags, key, std::nullopt, wanted);
    others += (others.empty() ? "" : "; ") + (its.empty() ? "every node" : its);
  }
  std::string reason = "there is no value \"" + key + '"';
  if (!others.empty()) {
    reason += (scope->is_everyone() ? " for every node" : " for " + scope->text()) +
              std::string(": it is set for ") + others;
  }
  return refuse_with(flags.json, "unknown_key",
                     {.reason = reason, .hint = others.empty() ? "`troupe config list` shows those that there are"
                                                               : "--to says for which nodes"},
                     exit_refused);
}

int set(node_call& node, const shared_flags& flags, const std::string& key,
        const std::string& value, const std::string& type) {
  std::string target =
      "/v1/config/" + target_word(key) + "?author=" + target_word(command_author());
  if (!type.empty()) target += "&type=" + target_word(type);
  const auto entry = node.ask("PUT", target, value);
  if (!entry) return entry.error();
  if (flags.json) say(entry->dump());
  return exit_done;
}

int unset(node_call& node, const shared_flags& flags, const std::string& key) {
  const auto done = node.ask(
      "DELETE", "/v1/config/" + target_word(key) + "?author=" + target_word(command_author()));
  if (!done) return done.error();
  if (flags.json) say(done->dump());
  return exit_done;
}

// `target` gives an array of values, or of changes: those without a value took it away.
int list(node_call& node, const shared_flags& flags, const std::string& target) {
  const auto all = node.ask("GET", target);
  if (!all) return all.error();
  if (flags.json) {
    say(all->dump());
    return exit_done;
  }
  std::vector<std::vector<std::string>> rows{{"KEY", "TYPE", "VERSION", "TIME", "AUTHOR", "VALUE"}};
  for (const json& each : *all) {
    std::string name = text_of(each["key"]);
    if (each.contains("scope") && each["scope"].is_string()) name += " (" + text_of(each["scope"]) + ')';
    rows.push_back({name, each["type"].is_null() ? "" : text_of(each["type"]), each["version"].dump(),
                    each["time"].is_null() ? "" : text_of(each["time"]),
                    each["author"].is_null() ? "" : text_of(each["author"]),
                    each["value"].is_null() ? "unset" : text_of(each["value"])});
  }
  say(table_text(rows));
  return exit_done;
}

int watch(node_call& node, const shared_flags& flags, const std::string& prefix) {
  return node.follow("/v1/config?watch=1&prefix=" + target_word(prefix), [&](const json& change) {
    if (flags.json)
      say(change.dump());
    else if (change["value"].is_null())
      say(text_of(change["key"]) + " unset");
    else
      say(text_of(change["key"]) + " = " + text_of(change["value"]));
    return true;
  });
}

// No value was given: even an empty one is a value.
constexpr const char* no_value = "\x01";

}  // namespace

int config_command(words arguments) {
  std::string verb;
  std::string key;
  std::string value = no_value;
  std::string type;
  order_words wanted;
  std::vector<own_flag> own = wanted.flags(false);
  std::erase_if(own, [](const own_flag& each) { return each.name == "--app"; });
  own.push_back({.name = "--type",
                 .placeholder = "TYPE",
                 .help = "of set: string, number, boolean or table",
                 .value = &type});
  auto flags = parse_words(
      {.name = "config",
       .help = help,
       .examples = examples,
       .arguments = {{.name = "VERB", .help = "get, set, unset, list, watch or history", .value = &verb},
                     {.name = "KEY", .help = "or PREFIX", .value = &key, .required = false},
                     {.name = "VALUE", .help = "of set", .value = &value, .required = false}},
       .flags = own},
      arguments);
  if (!flags) return flags.error();
  constexpr std::array<std::string_view, 6> verbs = {"get",  "set",   "unset",
                                                     "list", "watch", "history"};
  if (std::ranges::find(verbs, verb) == verbs.end()) {
    const auto near = nearest(verb, verbs);
    return wrong_usage(
        flags->json,
        {.reason = "unknown verb \"" + verb + '"',
         .hint = near.empty() ? "there are get, set, unset, list, watch and history"
                              : "did you mean `troupe config " + std::string(near[0]) + "`?"});
  }
  const bool wants_key = verb == "get" || verb == "set" || verb == "unset";
  if (wants_key && key.empty()) {
    return wrong_usage(flags->json, {.reason = "`troupe config " + verb + "` needs a key",
                                     .hint = "`troupe config list` shows them"});
  }
  if (verb == "set" && value == no_value) {
    return wrong_usage(
        flags->json,
        {.reason = "`troupe config set " + key + "` needs a value",
         .hint = "an empty string is written ''; `troupe config unset` takes a value away"});
  }
  if (wants_key) {
    if (auto wrong = check_config_key(key)) return wrong_usage(flags->json, *wrong);
  }
  if (const auto scope = wanted.selector(); !scope) return wrong_usage(flags->json, scope.error());
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  if (verb == "get") return get(*node, *flags, key);
  if (verb == "set" || verb == "unset") {
    const auto cluster = node->cluster();
    if (!cluster) return cluster.error();
    if (!cluster->is_null()) {
      return verb == "set" ? set_everywhere(*node, *flags, key, value, type, wanted)
                           : unset_everywhere(*node, *flags, key, wanted);
    }
  }
  if (verb == "set") return set(*node, *flags, key, value, type);
  if (verb == "unset") return unset(*node, *flags, key);
  if (verb == "list") return list(*node, *flags, "/v1/config?prefix=" + target_word(key));
  if (verb == "history") return list(*node, *flags, "/v1/config?history=1&key=" + target_word(key));
  return watch(*node, *flags, key);
}

}  // namespace troupe
