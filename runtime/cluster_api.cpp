// SPDX-License-Identifier: Apache-2.0
#include "runtime/cluster_api.hpp"

#include "cluster/outcomes.hpp"
#include "runtime/admin_reply.hpp"
#include "runtime/admin_upgrade.hpp"
#include "runtime/cluster_documents.hpp"
#include "runtime/release_diff.hpp"
#include "runtime/resident_bytes.hpp"
#include "runtime/versions.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>

#include <unistd.h>

namespace troupe {
namespace {

using json = cluster_json;
using cluster::refusal_errc;

std::string_view hint_of(std::string_view reason) {
  return reason.starts_with(no_controller_words) ? no_controller_hint : std::string_view();
}

admin_response answer_of(const cluster::refusal& why) {
  switch (why.errc) {
    case refusal_errc::malformed:
    case refusal_errc::too_large:
    case refusal_errc::bad_path:
      return refusal(400, "bad_request", why.reason);
    case refusal_errc::missing:
    case refusal_errc::damaged:
      return refusal(404, "missing_contents", why.reason,
                     "only nodes that run a release, and the controller, have its contents");
    case refusal_errc::denied:
      return refusal(403, "denied", why.reason);
    case refusal_errc::not_leader:
      return refusal(503, "no_controller", why.reason, hint_of(why.reason));
    case refusal_errc::conflict:
      return refusal(409, "failed", why.reason);
    default:
      return refusal(503, "no_answer", why.reason);
  }
}

std::optional<std::uint32_t> number_in(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

admin_response no_number(std::string_view text) {
  return refusal(400, "bad_request", '"' + std::string(text) + "\" is no release's number");
}

admin_response no_release(std::uint32_t number, const std::string& app) {
  return refusal(404, "unknown_release", "no release " + std::to_string(number) + " of " + app,
                 "`troupe releases` lists those that there are");
}

const cluster::app_state* find_app(const cluster::cluster_state& state, const std::string& app) {
  const auto found = state.apps().find(app);
  return found == state.apps().end() ? nullptr : &found->second;
}

const cluster::release_info* find_release(const cluster::cluster_state& state,
                                          const std::string& app, std::uint32_t number) {
  const auto* of = find_app(state, app);
  if (of == nullptr) return nullptr;
  const auto found = of->releases.find(number);
  return found == of->releases.end() ? nullptr : &found->second;
}

/// Whether it never came to serve.
bool was_aborted(const cluster::app_state& of, const cluster::release_info& release) {
  const bool is_under_way = of.under_way && of.under_way->release == release.number;
  return !release.was_active && !is_under_way;
}

// Values of a key, by age: cluster_state::config_of() sees the same.
const cluster::scoped_value* value_for_everyone(const std::vector<cluster::scoped_value>& values) {
  const auto found = std::ranges::find_if(
      values, [](const cluster::scoped_value& each) { return each.scope.is_everyone(); });
  return found == values.end() ? nullptr : &*found;
}

const cluster::scoped_value* value_seen_by(const std::vector<cluster::scoped_value>& values,
                                           const std::string& node,
                                           const cluster::label_map& labels) {
  const auto found = std::find_if(values.rbegin(), values.rend(), [&](const auto& each) {
    return !each.scope.is_everyone() && each.scope.matches(node, labels);
  });
  return found == values.rend() ? value_for_everyone(values) : &*found;
}

/// When a controller was heard last, in milliseconds since 1970; null: never.
json since_of(const std::function<cluster::agent::standing()>& stands, cluster::wall_time now) {
  if (!stands) return {};
  const cluster::agent::standing last = stands();
  return last.silent ? json((now - *last.silent).time_since_epoch().count()) : json();
}

/// For a controller to be heard: as who asks says, who knows how long it wants to wait.
std::chrono::milliseconds wait_of(const admin_request& asked) {
  constexpr std::uint32_t most = 24 * 60 * 60 * 1000;
  const auto given = number_in(asked.parameter("wait_ms"));
  return given ? std::chrono::milliseconds(std::min(*given, most)) : cluster_way::usual_wait;
}

// "push", "read": what a key may do.
json roles_of(cluster::key_roles roles) {
  json names = json::array();
  const auto add = [&](cluster::key_role role, const char* name) {
    if ((roles & static_cast<cluster::key_roles>(role)) != 0) names.push_back(name);
  };
  add(cluster::key_role::read, "read");
  add(cluster::key_role::config, "config");
  add(cluster::key_role::push, "push");
  add(cluster::key_role::admin, "admin");
  return names;
}

}  // namespace

admin_response cluster_api::answer(const admin_request& asked) const {
  const std::string_view path = asked.path;
  const bool gets = asked.method == "GET";
  const bool posts = asked.method == "POST";
  const auto rest_of = [&](std::string_view prefix) { return path.substr(prefix.size()); };
  if (gets) {
    if (path == "/v1/cluster") return overview();
    if (path == "/v1/ready") return ready();
    if (path == "/v1/status") return status();
    if (path == "/v1/nodes") return nodes(asked);
    if (path == "/v1/cluster/status") return cluster_status(asked);
    if (path == "/v1/cluster/keys") return keys();
    if (path == "/v1/releases") return list_releases(asked);
    if (path == "/v1/diff") return diff(asked);
    if (path == "/v1/config") return list_config(asked);
    if (path.starts_with("/v1/config/")) return config(std::string(rest_of("/v1/config/")));
    if (path.starts_with("/v1/releases/")) return show_release(asked, rest_of("/v1/releases/"));
    if (path.starts_with("/v1/orders/")) return outcome(asked, rest_of("/v1/orders/"));
  }
  if (posts && path == "/v1/upgrade") return hand_over(parts_.upgrading, asked);
  change_lock change;
  if (!gets && parts_.upgrading != nullptr) {
    change = std::make_shared<change_lock::element_type>(parts_.upgrading->change());
    if (!*change) return stopping();
  }
  if (posts && path == "/v1/contents/missing") return missing(asked);
  if (posts && path == "/v1/orders") return submit(asked, std::move(change));
  if (asked.method == "PUT" && path.starts_with("/v1/contents/")) {
    return put(asked, rest_of("/v1/contents/"));
  }
  if (path == "/v1/releases" || path == "/v1/rollback" || path.starts_with("/v1/config")) {
    return refusal(409, "in_a_cluster", "the node is part of a cluster, which takes signed orders",
                   "`troupe push`, `rollback` and `config` make them; POST /v1/orders takes them");
  }
  return refusal(404, "unknown_path",
                 asked.method + " " + asked.path + " is nothing: see docs/admin-api.md");
}

// --- The node -----------------------------------------------------------------------------------

admin_response cluster_api::overview() const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  json body{{"name", parts_.name},
            {"address", parts_.address.empty() ? json() : json(parts_.address)},
            {"controller", (*state)->controller()},
            {"epoch", (*state)->at().epoch},
            {"seq", (*state)->at().seq},
            {"state", (*state)->at().state.text()},
            {"keys", (*state)->has_keys()}};
  body["active"] = json::object();
  body["scopes"] = json::object();
  for (const auto& [name, app] : (*state)->apps()) {
    body["active"][name] = app.active_everywhere();
    // What is active where, for who would take the first for everything.
    if (app.active.size() < 2) continue;
    for (const auto& one : app.active) {
      body["scopes"][name].push_back({{"release", one.release}, {"to", one.to.text()}});
    }
  }
  return reply(body);
}

admin_response cluster_api::ready() const {
  if (!parts_.stands) return refusal(404, "unknown_path", "only a node is ready");
  const auto now = parts_.stands();
  json body{{"ready", now.current},
            {"name", parts_.name},
            {"controller", now.controller},
            {"epoch", now.at.epoch},
            {"seq", now.at.seq},
            {"silent_ms", now.silent ? json(now.silent->count()) : json()}};
  std::string problem = now.problem;
  if (!now.current && problem.empty()) {
    problem = now.silent ? "the controller has not been heard for " +
                               std::to_string(now.silent->count()) + " ms"
                         : "the controller has not been heard yet";
  }
  if (parts_.host != nullptr) {
    body["apps"] = json::object();
    for (const auto& each : parts_.host->apps()) {
      body["apps"][each.app] = each.release;
      if (each.release == 0 && !each.problem.empty() && problem.empty()) {
        problem = each.app + ": " + each.problem;
        body["ready"] = false;
      }
    }
  }
  body["problem"] = problem.empty() ? json() : json(problem);
  return reply(body, body["ready"].get<bool>() ? 200 : 503);
}

admin_response cluster_api::status() const {
  if (parts_.host == nullptr) return overview();
  const auto apps = parts_.host->apps();
  node_load all;
  json listeners = json::array();
  json by_app = json::array();
  const app_runner::view* first = nullptr;
  for (const auto& each : apps) {
    if (first == nullptr || each.app == "default") first = &each;
    all.shards += each.load.shards;
    all.connections += each.load.connections;
    all.idle += each.load.idle;
    all.requests += each.load.requests;
    all.errors += each.load.errors;
    all.lua_bytes += each.load.lua_bytes;
    for (const listener_info& one : each.listeners) {
      listeners.push_back({{"address", one.address}, {"protocol", one.protocol}});
    }
    by_app.push_back({{"app", each.app},
                      {"release", each.release == 0 ? json() : json(each.release)},
                      {"digest", each.release == 0 ? json() : json(each.digest.text())},
                      {"problem", each.problem.empty() ? json() : json(each.problem)}});
  }
  const bool serves = first != nullptr && first->release != 0;
  json body{{"name", parts_.name}, {"version", troupe_version()}, {"pid", getpid()}};
  body["release"] = serves ? json(first->release) : json();
  body["digest"] = serves ? json(first->digest.text()) : json();
  body["apps"] = std::move(by_app);
  body["listeners"] = std::move(listeners);
  body["shards"] = all.shards;
  body["connections"] = {{"active", all.connections}, {"idle", all.idle}};
  body["requests"] = all.requests;
  body["errors"] = all.errors;
  body["memory"] = {{"rss_bytes", resident_bytes()}, {"lua_bytes", all.lua_bytes}};
  return reply(body);
}

// --- The cluster --------------------------------------------------------------------------------

admin_response cluster_api::nodes(const admin_request& asked) const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  const std::string app = app_of(**state, asked.parameter("app"));
  auto answer = parts_.way.query("nodes", wait_of(asked));
  if (!answer && parts_.host == nullptr) return answer_of(answer.error());
  if (answer) return reply(json_of_nodes(*answer, **state, app));
  // Nobody keeps the list while there is no controller: what this node knows is itself and who is a
  // member.
  cluster::query_answer own;
  own.head = (*state)->at();
  for (const auto& [name, member] : (*state)->members()) {
    cluster::node_report one;
    one.name = name;
    one.role = name == (*state)->controller() ? "controller" : "node";
    one.address = member.address;
    one.problem = "not heard: " + answer.error().reason;
    if (name != parts_.name) own.nodes.push_back(std::move(one));
  }
  cluster::node_report self = parts_.host->report();
  self.name = parts_.name;
  self.role = parts_.name == (*state)->controller() ? "controller" : "node";
  self.address = parts_.address;
  self.version = troupe_version();
  self.at = (*state)->at();
  self.problem = answer.error().reason;
  self.labels = parts_.labels;
  self.heard = std::chrono::time_point_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now());
  const auto self_heard = self.heard;
  own.nodes.push_back(std::move(self));
  json body = json_of_nodes(own, **state, app);
  const json since = since_of(parts_.stands, self_heard);
  for (json& each : body) {
    // It may be behind by what it cannot know, since it heard the controller last; and of the others it
    // knows nothing.
    each["behind"] = nullptr;
    each["since"] = each["name"] == parts_.name ? since : json();
  }
  return reply(body);
}

admin_response cluster_api::cluster_status(const admin_request& asked) const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  const auto answer = parts_.way.query("status", wait_of(asked));
  json body{{"controller", (*state)->controller()},
            {"reached", answer.has_value()},
            {"epoch", (*state)->at().epoch},
            {"seq", (*state)->at().seq}};
  if (answer) {
    const json more = json::parse(answer->text, nullptr, false);
    if (more.is_object()) body.update(more);
  } else {
    body["reason"] = answer.error().reason;
    if (const auto hint = hint_of(answer.error().reason); !hint.empty()) body["hint"] = hint;
  }
  // The controller does not have what another acknowledged before it: that one does.
  if (parts_.host != nullptr) {
    const auto own = parts_.way.query(std::string(cluster::agent::own_aside_query), wait_of(asked));
    const json aside = own ? json::parse(own->text, nullptr, false) : json();
    json& all = body["aside"];
    if (!all.is_array()) all = json::array();
    for (const json& one : aside) {
      if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
    }
  }
  body["members"] = json::array();
  for (const auto& [name, member] : (*state)->members()) {
    body["members"].push_back(
        {{"name", name},
         {"address", member.address.empty() ? json() : json(member.address)},
         {"curve", member.curve.empty() ? json() : json(member.curve)},
         {"may_lead", member.may_lead}});
  }
  body["apps"] = json::object();
  for (const auto& [name, app] : (*state)->apps()) {
    body["apps"][name] = {{"release", app.active_everywhere()},
                          {"releases", app.releases.size()},
                          {"under_way", app.under_way ? json(cluster::text(app.under_way->id))
                                                      : json()}};
  }
  return reply(body);
}

admin_response cluster_api::keys() const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  json body{{"trusted", json::array()}, {"nodes", json::array()}, {"tokens", json::array()}};
  for (const auto& [key, trusted] : (*state)->trusted()) {
    body["trusted"].push_back(
        {{"key", key.text()}, {"name", trusted.name}, {"roles", roles_of(trusted.roles)}});
  }
  for (const auto& [name, member] : (*state)->members()) {
    body["nodes"].push_back({{"name", name}, {"curve", member.curve}});
  }
  for (const auto& [token, ends] : (*state)->tokens()) {
    body["tokens"].push_back({{"curve", token}, {"ends", ends.time_since_epoch().count()}});
  }
  return reply(body);
}

// --- Releases -----------------------------------------------------------------------------------

tl::expected<cluster::manifest, cluster::refusal> cluster_api::manifest_of(
    const cluster::release_info& release) const {
  const auto bytes = parts_.way.content(release.manifest);
  if (!bytes) return tl::unexpected(bytes.error());
  return cluster::manifest::decode(*bytes);
}

admin_response cluster_api::list_releases(const admin_request& asked) const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  const std::string app = app_of(**state, asked.parameter("app"));
  json body = json::array();
  const auto* of = find_app(**state, app);
  if (of == nullptr) return reply(body);
  std::vector<live_release> living;
  if (parts_.host != nullptr) {
    for (auto& each : parts_.host->apps()) {
      if (each.app == app) living = std::move(each.live);
    }
  }
  for (auto each = of->releases.rbegin(); each != of->releases.rend(); ++each) {
    const cluster::release_info& release = each->second;
    json one = json_of(release, *of);
    one["changed"] = nullptr;
    if (const auto files = manifest_of(release)) {
      if (release.parent == 0) {
        one["changed"] = files->files.size();
      } else if (const auto* parent = find_release(**state, app, release.parent)) {
        if (const auto before = manifest_of(*parent)) {
          one["changed"] = cluster::compare(*before, *files).size();
        }
      }
    }
    one["exchanges"] = 0;
    if (one["state"] == "stored" && was_aborted(*of, release)) one["state"] = "aborted";
    for (const live_release& live : living) {
      if (live.number != static_cast<int>(release.number)) continue;
      one["exchanges"] = live.exchanges;
      if (one["state"] == "stored") one["state"] = name(live.state);
    }
    body.push_back(std::move(one));
  }
  return reply(body);
}

admin_response cluster_api::show_release(const admin_request& asked, std::string_view rest) const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  const std::string app = app_of(**state, asked.parameter("app"));
  const auto slash = rest.find('/');
  const auto number = number_in(rest.substr(0, slash));
  if (!number) return no_number(rest.substr(0, slash));
  const auto* release = find_release(**state, app, *number);
  if (release == nullptr) return no_release(*number, app);
  const auto files = manifest_of(*release);
  if (!files) return answer_of(files.error());
  if (slash == std::string_view::npos) {
    json body = json_of(*release, *find_app(**state, app));
    body["files"] = json::array();
    for (const cluster::manifest_file& each : files->files) {
      body["files"].push_back({{"path", each.path},
                               {"size", each.size},
                               {"executable", each.executable},
                               {"digest", each.content.text()}});
    }
    return reply(body);
  }
  constexpr std::string_view prefix = "files/";
  const std::string_view path = rest.substr(slash + 1);
  if (!path.starts_with(prefix)) return refusal(404, "unknown_path", "see docs/admin-api.md");
  const auto* file = files->find(path.substr(prefix.size()));
  if (file == nullptr) return refusal(404, "unknown_file", "the release has no such file");
  auto content = parts_.way.content(file->content);
  if (!content) return answer_of(content.error());
  return {.type = "application/octet-stream", .body = std::move(*content), .stream = {}};
}

admin_response cluster_api::diff(const admin_request& asked) const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  const std::string app = app_of(**state, asked.parameter("app"));
  const auto* of = find_app(**state, app);
  const auto from = number_in(asked.parameter("from"));
  if (!from) return no_number(asked.parameter("from"));
  std::optional<std::uint32_t> to = of == nullptr ? 0 : of->active_everywhere();
  if (!asked.parameter("to").empty()) to = number_in(asked.parameter("to"));
  if (!to) return no_number(asked.parameter("to"));
  cluster::manifest sides[2];
  for (const int side : {0, 1}) {
    const std::uint32_t number = side == 0 ? *from : *to;
    if (number == 0) continue;  // Nothing: all is added.
    const auto* release = find_release(**state, app, number);
    if (release == nullptr) return no_release(number, app);
    auto files = manifest_of(*release);
    if (!files) return answer_of(files.error());
    sides[side] = std::move(*files);
  }
  const auto files = diff_of(sides[0], sides[1], [this](const cluster::digest& name) {
    return parts_.way.content(name);
  });
  if (!files) return answer_of(files.error());
  json body{{"from", *from}, {"to", *to}, {"files", json::array()}};
  for (const file_diff& each : *files) {
    body["files"].push_back({{"path", each.path},
                             {"change", cluster::text(each.change)},
                             {"binary", each.binary},
                             {"diff", each.text}});
  }
  return reply(body);
}

// --- Config values ------------------------------------------------------------------------------

admin_response cluster_api::list_config(const admin_request& asked) const {
  if (!asked.parameter("watch").empty()) return watch_config(asked);
  if (!asked.parameter("history").empty()) {
    return refusal(409, "in_a_cluster", "the nodes of a cluster keep no history of config values",
                   "audit.log in the data folder of the node that took an order has it");
  }
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  json body = json::array();
  for (const auto& [key, values] : (*state)->config()) {
    if (!key.starts_with(asked.parameter("prefix"))) continue;
    for (const cluster::scoped_value& each : values) body.push_back(json_of(key, each));
  }
  return reply(body);
}

admin_response cluster_api::watch_config(const admin_request& asked) const {
  const auto begun = parts_.way.state();
  if (!begun) return answer_of(begun.error());
  return {.stream = [this, prefix = std::string(asked.parameter("prefix")),
                     before = *begun](const admin_lines& send) mutable {
    std::mutex never;
    std::condition_variable pause;
    while (send("")) {
      std::unique_lock lock(never);
      pause.wait_for(lock, parts_.watch_every);
      const auto now = parts_.way.state();
      if (!now || (*now)->at() == before->at()) continue;
      const auto find = [](const cluster::cluster_state& in, const std::string& key,
                           const cluster::selector& scope) -> const cluster::scoped_value* {
        const auto found = in.config().find(key);
        if (found == in.config().end()) return nullptr;
        for (const auto& each : found->second) {
          if (each.scope == scope) return &each;
        }
        return nullptr;
      };
      for (const auto& [key, values] : (*now)->config()) {
        if (!key.starts_with(prefix)) continue;
        for (const auto& each : values) {
          const auto* old = find(*before, key, each.scope);
          if (old != nullptr && old->seq == each.seq) continue;
          if (!send(json_line(json_of(key, each)))) return;
        }
      }
      for (const auto& [key, values] : before->config()) {
        if (!key.starts_with(prefix)) continue;
        for (const auto& each : values) {
          if (find(**now, key, each.scope) != nullptr) continue;
          const std::string scope = each.scope.text();
          if (!send(json_line({{"key", key},
                               {"value", nullptr},
                               {"type", nullptr},
                               {"version", (*now)->at().seq},
                               {"scope", scope.empty() ? json() : json(scope)}}))) {
            return;
          }
        }
      }
      before = *now;
    }
  }};
}

// As this node's scripts see it; over a link, where there is no node, the one for everyone.
admin_response cluster_api::config(const std::string& key) const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  if (parts_.host != nullptr) {
    if (const auto own = parts_.host->own_value(key)) return reply(json_of_own(key, *own));
  }
  std::string reason = "there is no value \"" + key + '"';
  const auto found = (*state)->config().find(key);
  if (found != (*state)->config().end()) {
    const auto* seen = parts_.name.empty()
                           ? value_for_everyone(found->second)
                           : value_seen_by(found->second, parts_.name, parts_.labels);
    if (seen != nullptr) return reply(json_of(key, *seen));
    std::string scopes;
    for (const cluster::scoped_value& each : found->second) {
      scopes += (scopes.empty() ? "" : "; ") + each.scope.text();
    }
    reason += parts_.name.empty() ? " for every node" : " for node " + parts_.name;
    reason += ": it is set for " + scopes;
  }
  return refusal(404, "unknown_key", reason, "`troupe config list` shows those that there are");
}

// --- Orders -------------------------------------------------------------------------------------

// The body is a manifest; it is itself a content.
admin_response cluster_api::missing(const admin_request& asked) const {
  const auto files = cluster::manifest::decode(asked.body);
  if (!files) return refusal(400, "bad_request", files.error().reason);
  std::vector<cluster::digest> names{files->id()};
  for (const cluster::manifest_file& each : files->files) names.push_back(each.content);
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const auto lacking = parts_.way.missing(std::move(names), wait_of(asked));
  if (!lacking) return answer_of(lacking.error());
  json body = json::array();
  for (const cluster::digest& each : *lacking) body.push_back(each.text());
  return reply(body);
}

admin_response cluster_api::put(const admin_request& asked, std::string_view name) const {
  const auto digest = cluster::digest::parse(name);
  if (!digest) return refusal(400, "bad_request", "that is no digest");
  if (auto done = parts_.way.put(*digest, asked.body, wait_of(asked)); !done) {
    return answer_of(done.error());
  }
  return reply({{"digest", digest->text()}});
}

admin_response cluster_api::submit(const admin_request& asked, change_lock change) const {
  auto what = cluster::signed_order::decode(asked.body);
  if (!what) return answer_of(what.error());
  return {.stream = [this, what = std::move(*what), by = author_of(asked), wait = wait_of(asked),
                     change = std::move(change)](const admin_lines& send) {
    std::string watched;  // The last news while a canary is.
    const auto on = [&](const cluster::progress* news) {
      // Said again each second, so that who shows it can say how long is left.
      if (news == nullptr) return send(watched);
      if (news->done && parts_.audit != nullptr && parts_.log != nullptr) {
        const std::string release =
            news->release == 0 ? std::string() : " release " + std::to_string(news->release);
        parts_.audit->write("order", cluster::text(news->id) + release, by,
                            news->error.empty() ? news->state : news->error + ": " + news->reason,
                            *parts_.log);
      }
      const std::string line = json_line(json_of(*news));
      watched = news->state == "canary" ? line : std::string();
      return send(line);
    };
    parts_.way.submit(what, on, wait);
  }};
}

admin_response cluster_api::outcome(const admin_request& asked, std::string_view id) const {
  const auto state = parts_.way.state();
  if (!state) return answer_of(state.error());
  const auto wanted = cluster::parse_order_id(id);
  if (!wanted) return refusal(400, "bad_request", "that is no order's id");
  // The controller knows how each node did; this one, what the history says. Without a controller it
  // need not wait for one.
  const bool is_alone = parts_.stands && !parts_.stands().current;
  const bool is_known = (*state)->outcome(*wanted) != nullptr || (*state)->seq_of(*wanted);
  const auto answer = is_alone && is_known
                          ? tl::expected<cluster::query_answer, cluster::refusal>()
                          : parts_.way.query(std::string(cluster::outcome_query) + std::string(id),
                                             wait_of(asked));
  if (answer && !answer->text.empty()) {
    const auto decoded = cluster::decode_message(answer->text);
    if (const auto* told = decoded ? std::get_if<cluster::progress>(&*decoded) : nullptr) {
      return reply(json_of(*told));
    }
  }
  for (const auto& [name, app] : (*state)->apps()) {
    if (app.under_way && app.under_way->id == *wanted) {
      return reply(json_of(*app.under_way, name, **state));
    }
  }
  if (const auto* record = (*state)->outcome(*wanted)) return reply(json_of(*record, "", **state));
  // A value, a key: done when it is in the history.
  if ((*state)->seq_of(*wanted)) {
    cluster::progress done;
    done.id = *wanted;
    done.done = true;
    done.state = "applied";
    return reply(json_of(done));
  }
  if (!answer) return answer_of(answer.error());
  return refusal(404, "unknown_order", "no order " + std::string(id) + " is known here",
                 "it was not taken, or is older than the last 10,000");
}

}  // namespace troupe
