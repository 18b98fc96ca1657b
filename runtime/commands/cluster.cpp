// SPDX-License-Identifier: Apache-2.0
//
// `troupe cluster status|up|promote`: the cluster as a whole.
#include <array>
#include <charconv>
#include <iostream>

#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/local_cluster.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/spelling.hpp"
#include "runtime/commands/terminal.hpp"

#include <unistd.h>

namespace troupe {
namespace {

using json = node_call::json;

constexpr std::string_view help =
    "The cluster as a whole.\n"
    "  status           who leads, where the history stands, pushes under way, members, changes that were "
    "lost with an old controller\n"
    "  up N PATH        a cluster of N nodes on this machine that serves PATH, to try it out; Ctrl-C ends "
    "it\n"
    "  promote NODE     makes that node the controller, when the old one is gone; ask that node itself "
    "(--node)";

std::string text_of(const json& value) {
  if (value.is_null()) return "-";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

int status(const shared_flags& flags) {
  auto node = node_call::to(flags);
  if (!node) return node.error();
  if (auto found = node->need_cluster(); !found) return found.error();
  const auto answer = node->ask("GET", "/v1/cluster/status");
  if (!answer) return answer.error();
  const json& all = *answer;
  if (flags.json) {
    say(all.dump());
    return exit_done;
  }
  std::vector<std::vector<std::string>> rows{
      {"controller", text_of(all["controller"]) +
                         (all["reached"].get<bool>() ? "" : "  not reached: " + text_of(all["reason"]))},
      {"history", "epoch " + all["epoch"].dump() + ", change " + all["seq"].dump()}};
  for (const auto& [name, app] : all["apps"].items()) {
    const std::string serves =
        app["release"] == 0 ? "nothing serves everyone" : "release " + app["release"].dump() + " serves";
    rows.push_back({"app " + name, serves + ", " + app["releases"].dump() + " kept" +
                                       (app["under_way"].is_null()
                                            ? ""
                                            : ", under way: " + text_of(app["under_way"]))});
  }
  for (const json& member : all["members"]) {
    rows.push_back({"member " + text_of(member["name"]),
                    text_of(member["address"]) + (member["may_lead"].get<bool>() ? "  may lead" : "")});
  }
  if (all.contains("denied")) rows.push_back({"denied", all["denied"].dump()});
  if (all.contains("aside")) {
    for (const json& each : all["aside"]) {
      rows.push_back({"lost", text_of(each["kind"]) + ' ' + text_of(each["app"]) + " by " +
                                  text_of(each["author"]) + ", epoch " + each["epoch"].dump() +
                                  " change " + each["seq"].dump()});
    }
  }
  say(table_text(rows));
  return exit_done;
}

int promote(const shared_flags& flags, const std::string& name, bool is_sure) {
  auto node = node_call::to(flags);
  if (!node) return node.error();
  const auto cluster = node->need_cluster();
  if (!cluster) return cluster.error();
  if (!is_sure) {
    const std::string before = text_of((*cluster)["controller"]);
    if (isatty(STDIN_FILENO) == 0) {
      return wrong_usage(
          flags.json,
          {.reason = "promoting " + name + " wants a yes",
           .hint = "--yes says it: what " + before +
                   " acknowledged and nobody else has heard is lost from the history"});
    }
    std::fputs(("This makes " + name + " the controller in place of " + before +
                ". If that one is alive and only cut off, what it has acknowledged since is no part of "
                "the history any more: it keeps it aside, and `troupe cluster status` on that node lists it.\n"
                "Go on? [y/N] ")
                   .c_str(),
               stderr);
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "y" && answer != "yes") return exit_refused;
  }
  cluster::promote_order body;
  body.node = name;
  body.epoch = (*cluster)["epoch"].get<std::uint64_t>() + 1;
  const auto ended = order_sender(*node, flags)
                         .send(new_order({}, std::move(body)), [](const json&) { return ""; }, false);
  if (ended.last.is_null()) return ended.status;
  if (flags.json)
    say(ended.last.dump());
  else if (ended.status == exit_done || ended.status == exit_partly)
    say(name + " is the controller, epoch " + std::to_string((*cluster)["epoch"].get<std::uint64_t>() + 1));
  return ended.status;
}

}  // namespace

int cluster_command(words arguments) {
  std::string verb;
  std::string first;
  std::string second;
  bool is_sure = false;
  auto flags = parse_words(
      {.name = "cluster",
       .help = help,
       .examples = "  troupe cluster status\n"
                   "  troupe cluster up 3 examples/hello\n"
                   "  troupe cluster promote b --node /var/lib/troupe/b\n",
       .arguments = {{.name = "VERB", .help = "status, up or promote", .value = &verb},
                     {.name = "N", .help = "or NODE", .value = &first, .required = false},
                     {.name = "PATH", .help = "of up: an app folder", .value = &second, .required = false}},
       .flags = {{.name = "--yes",
                  .placeholder = "",
                  .help = "of promote: does not ask first",
                  .value = &is_sure}}},
      arguments);
  if (!flags) return flags.error();
  constexpr std::array<std::string_view, 3> verbs = {"status", "up", "promote"};
  if (verb == "status") return status(*flags);
  if (verb == "promote") {
    if (first.empty()) {
      return wrong_usage(flags->json, {.reason = "`troupe cluster promote` needs a NODE",
                                       .hint = "`troupe nodes` lists them"});
    }
    return promote(*flags, first, is_sure);
  }
  if (verb == "up") {
    unsigned nodes = 0;
    const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), nodes);
    if (error != std::errc{} || end != first.data() + first.size() || nodes < 1 || nodes > 100 ||
        second.empty()) {
      return wrong_usage(
          flags->json, {.reason = "`troupe cluster up` needs a number of nodes, 1 to 100, and a PATH",
                        .hint = "troupe cluster up 3 app/"});
    }
    return local_cluster(*flags, nodes, second);
  }
  const auto near = nearest(verb, verbs);
  return wrong_usage(
      flags->json, {.reason = "unknown verb \"" + verb + '"',
                    .hint = near.empty() ? "there are status, up and promote"
                                         : "did you mean `troupe cluster " + std::string(near[0]) + "`?"});
}

}  // namespace troupe
