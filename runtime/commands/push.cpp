// SPDX-License-Identifier: Apache-2.0
//
// `troupe push PATH`: an app folder on every node of the cluster, in two steps.
#include "cluster/outcomes.hpp"
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/release_needs.hpp"

namespace troupe {
namespace {

using json = node_call::json;

// Against what is active for everyone, as far as the node knows its files.
std::optional<std::size_t> changed_files(node_call& node, const std::string& app,
                                         std::uint32_t active, const cluster::manifest& files) {
  if (active == 0) return files.files.size();
  std::optional<std::size_t> count;
  const auto reply = node.try_follow(
      "GET", "/v1/releases/" + std::to_string(active) + "?app=" + target_word(app), {},
      [](const json&) { return true; });
  if (!reply || !reply->is_success()) return count;
  const json old = json::parse(reply->body, nullptr, false);
  if (!old.is_object()) return count;
  cluster::manifest before;
  for (const json& each : old["files"]) {
    const auto name = cluster::digest::parse(each["digest"].get<std::string>());
    if (!name) return count;
    before.files.push_back({.path = each["path"].get<std::string>(),
                            .executable = each["executable"].get<bool>(),
                            .size = each["size"].get<std::uint64_t>(),
                            .content = *name});
  }
  before.sort();
  return cluster::compare(before, files).size();
}

int show_outcome(const shared_flags& flags, const std::string& id) {
  if (!cluster::parse_order_id(id)) {
    return wrong_usage(flags.json,
                       {.reason = "--outcome: \"" + id + "\" is no order's id",
                        .hint = "32 hexadecimal digits, as an interrupted command or --json said them"});
  }
  auto node = node_call::to(flags);
  if (!node) return node.error();
  if (auto found = node->need_cluster(); !found) return found.error();
  const auto outcome = node->ask("GET", "/v1/orders/" + target_word(id));
  if (!outcome) return outcome.error();
  if (flags.json) {
    say(outcome->dump());
  } else {
    std::string line = "order " + id + "  ";
    if ((*outcome)["release"].is_number()) line += "release " + (*outcome)["release"].dump() + "  ";
    line += (*outcome)["state"].get<std::string>();
    if (outcome->contains("reason")) line += ": " + (*outcome)["reason"].get<std::string>();
    // A history of long ago does not say how each node did.
    for (const json& each : outcome->value("nodes", json::array())) {
      line += "\n  " + each["name"].get<std::string>() + "  " + each["state"].get<std::string>();
      if (each["reason"].is_string()) line += ": " + each["reason"].get<std::string>();
    }
    say(line);
  }
  if ((*outcome)["state"] == "partial") return exit_partly;
  return (*outcome)["state"] == "aborted" ? exit_refused : exit_done;
}

// cli.md's document: what cli.md has no name for is added behind.
json document_of(const json& last) {
  json out{{"release", last["release"]}, {"digest", last["digest"]}, {"state", last["state"]},
           {"nodes", last["nodes"]},     {"id", last["id"]}};
  // No controller has said how it went.
  const std::string state = last["state"].get<std::string>();
  if (state != "active" && state != "aborted" && state != "partial") out["state"] = nullptr;
  for (const char* more : {"error", "reason", "file", "line", "hint"}) {
    if (last.contains(more)) out[more] = last[more];
  }
  return out;
}

}  // namespace

int push_command(words arguments) {
  std::string path;
  std::string message;
  std::string outcome;
  order_words wanted;
  std::vector<own_flag> own = wanted.flags(true);
  own.insert(own.begin(),
             {.name = "-m,--message", .placeholder = "TEXT", .help = "for the history", .value = &message});
  own.push_back({.name = "--outcome",
                 .placeholder = "ID",
                 .help = "pushes nothing: says how the order with this id went",
                 .value = &outcome});
  auto flags = parse_words(
      {.name = "push",
       .help = "Puts an app folder on every node of the cluster, in two steps: all live nodes fetch, "
               "check and load it beside what serves; when they are ready they swap it in. One that "
               "refuses, and nothing has changed anywhere, unless --require says otherwise. Any node "
               "of the cluster takes it.",
       .examples = "  troupe push app/ -m 'new checkout'\n"
                   "  troupe push app/ --to zone=eu --require 90%\n"
                   "  troupe push app/ --canary 20% --watch 60s --stop-if 'errors>1%'\n"
                   "  troupe push app/ --node 10.0.0.1:7000 --json\n",
       .arguments = {{.name = "PATH", .help = "an app folder", .value = &path, .required = false}},
       .flags = own},
      arguments);
  if (!flags) return flags.error();
  if (!outcome.empty()) return show_outcome(*flags, outcome);
  if (path.empty()) {
    return wrong_usage(flags->json, {.reason = "`troupe push` needs a PATH",
                                     .hint = "`troupe push --help` says more"});
  }
  if (const auto wrong = wrong_app(wanted.app)) return wrong_usage(flags->json, *wrong);
  const auto to = wanted.selector();
  if (!to) return wrong_usage(flags->json, to.error());
  const auto policy = wanted.policy();
  if (!policy) return wrong_usage(flags->json, policy.error());

  app_contents contents;
  auto files = read_app(path, contents);
  if (!files) return refuse_with(flags->json, "check_failed", files.error(), exit_refused);

  auto node = node_call::to(*flags);
  if (!node) return node.error();
  const auto cluster = node->need_cluster();
  if (!cluster) return cluster.error();
  const std::string app = wanted.app.empty() ? "default" : wanted.app;
  const json& active = (*cluster)["active"];
  const auto changed = changed_files(
      *node, app, active.contains(app) ? active[app].get<std::uint32_t>() : 0, *files);

  const std::string manifest = files->encode();
  contents.insert_or_assign(files->id(), manifest);
  const auto missing = node->ask("POST", "/v1/contents/missing", manifest);
  if (!missing) return missing.error();
  for (const json& each : *missing) {
    const auto name = cluster::digest::parse(each.get<std::string>());
    const auto found = name ? contents.find(*name) : contents.end();
    if (found == contents.end()) continue;
    const auto put = node->ask("PUT", "/v1/contents/" + name->text(), found->second);
    if (!put) return put.error();
  }

  cluster::release_order body;
  body.manifest = files->id();
  body.manifest_bytes = manifest.size();
  if (wanted.expect) body.expect = static_cast<std::uint32_t>(*wanted.expect);
  body.to = *to;
  body.policy = *policy;
  cluster::order what = new_order(app, std::move(body), message);
  // Not always the same nodes are the share of them.
  if (to->percent < 100) std::get<cluster::release_order>(what.body).to.salt = cluster::text(what.id);
  const auto heading = [&](const json& news) {
    std::string line = news["release"].is_number() ? "release " + news["release"].dump() : "no release";
    if (changed) line += "  " + std::to_string(*changed) + (*changed == 1 ? " file" : " files") + " changed";
    return line + "  " + short_digest(files->id().text());
  };
  const auto ended = order_sender(*node, *flags).send(what, heading, true);
  if (flags->json && !ended.last.is_null()) say(document_of(ended.last).dump());
  return ended.status;
}

}  // namespace troupe
