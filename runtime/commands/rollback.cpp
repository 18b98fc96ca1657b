// SPDX-License-Identifier: Apache-2.0
//
// `troupe rollback [N]`: goes back to an older release, on one node or on all of a cluster.
#include <charconv>

#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"

namespace troupe {
namespace {

using json = node_call::json;

int on_one_node(node_call& node, const shared_flags& flags, const std::string& to,
                std::optional<std::uint64_t> expect) {
  std::string target = "/v1/rollback?author=" + target_word(command_author());
  if (!to.empty()) target += "&to=" + target_word(to);
  if (expect) target += "&expect=" + std::to_string(*expect);
  const auto outcome = node.ask("POST", target);
  if (!outcome) return outcome.error();
  say(flags.json ? outcome->dump() : deployed_text(*outcome));
  return exit_done;
}

// The one that served everyone before the one that does.
tl::expected<std::uint32_t, int> release_before(node_call& node, bool json, const std::string& app,
                                                std::uint32_t active) {
  const auto all = node.ask("GET", "/v1/releases?app=" + target_word(app));
  if (!all) return tl::unexpected(all.error());
  for (const auto& each : *all) {
    if (each["release"] == active && each["parent"].is_number()) {
      return each["parent"].get<std::uint32_t>();
    }
  }
  const std::string what =
      active == 0 ? "no release of " + app + " serves, so there is none to go back from"
                  : "release " + std::to_string(active) + " of " + app + " has none before it to go back to";
  return tl::unexpected(
      refuse_with(json, "unknown_release",
                  {.reason = what, .hint = "`troupe releases` lists those that there are"},
                  exit_refused));
}

int on_all_nodes(node_call& node, const shared_flags& flags, const json& cluster,
                 const std::string& to, const order_words& wanted) {
  const auto selector = wanted.selector();
  if (!selector) return wrong_usage(flags.json, selector.error());
  const auto policy = wanted.policy();
  if (!policy) return wrong_usage(flags.json, policy.error());
  const std::string app = wanted.app.empty() ? "default" : wanted.app;
  const json& active = cluster["active"];
  const std::uint32_t serving = active.contains(app) ? active[app].get<std::uint32_t>() : 0;
  cluster::rollback_order body;
  if (to.empty()) {
    if (const json scopes = cluster.value("scopes", json::object()); scopes.contains(app)) {
      std::string what;
      for (const json& one : scopes[app]) {
        const auto where = one["to"].get<std::string>();
        what += (what.empty() ? "" : ", ") + one["release"].dump() + " on " +
                (where.empty() ? "all others" : where);
      }
      return refuse_with(flags.json, "conflict",
                         {.reason = "several releases of " + app + " are active (" + what +
                                    "), so there is no one before",
                          .hint = "name the one to go back to: `troupe rollback N`, with --to for "
                                  "some nodes only"},
                         exit_refused);
    }
    const auto before = release_before(node, flags.json, app, serving);
    if (!before) return before.error();
    body.release = *before;
    // What a node shows may be late: then it is refused, and not the wrong one gone back to.
    body.expect = serving;
  } else {
    const auto [end, error] = std::from_chars(to.data(), to.data() + to.size(), body.release);
    if (error != std::errc{} || end != to.data() + to.size()) {
      return wrong_usage(flags.json, {.reason = '"' + to + "\" is no release's number",
                                      .hint = "`troupe releases` lists those that there are"});
    }
  }
  if (wanted.expect) body.expect = static_cast<std::uint32_t>(*wanted.expect);
  body.to = *selector;
  body.policy = *policy;
  cluster::order what = new_order(app, std::move(body));
  if (selector->percent < 100) {
    std::get<cluster::rollback_order>(what.body).to.salt = cluster::text(what.id);
  }
  const auto heading = [&](const json& news) {
    std::string line = "back to release " +
                       (news["release"].is_number() ? news["release"].dump()
                                                    : std::to_string(std::get<cluster::rollback_order>(what.body).release));
    if (serving != 0) line += " from " + std::to_string(serving);
    return line;
  };
  const auto ended = order_sender(node, flags).send(what, heading, true);
  if (flags.json && !ended.last.is_null()) say(ended.last.dump());
  return ended.status;
}

}  // namespace

int rollback_command(words arguments) {
  std::string to;
  order_words wanted;
  auto flags = parse_words(
      {.name = "rollback",
       .help = "Goes back to an older release: without N to the one that this one took the place of when it was pushed. "
               "At once if it is still warm, else it is loaded from the store. Of a cluster, on all "
               "nodes in the two steps of a push.",
       .examples = "  troupe rollback\n"
                   "  troupe rollback 41 --expect 43\n",
       .arguments =
           {{.name = "N", .help = "the release's number", .value = &to, .required = false}},
       .flags = wanted.flags(true)},
      arguments);
  if (!flags) return flags.error();
  for (const std::string* number : {&to}) {
    if (number->find_first_not_of("0123456789") == std::string::npos) continue;
    return wrong_usage(flags->json, {.reason = '"' + *number + "\" is no release's number",
                                     .hint = "`troupe releases` lists those that there are"});
  }
  if (const auto wrong = wrong_app(wanted.app)) return wrong_usage(flags->json, *wrong);
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  const auto cluster = node->cluster();
  if (!cluster) return cluster.error();
  if (cluster->is_null()) return on_one_node(*node, *flags, to, wanted.expect);
  return on_all_nodes(*node, *flags, *cluster, to, wanted);
}

}  // namespace troupe
