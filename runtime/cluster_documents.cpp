// SPDX-License-Identifier: Apache-2.0
#include "runtime/cluster_documents.hpp"

#include "cluster/membership.hpp"
#include "runtime/config_values.hpp"
#include "runtime/node_config.hpp"
#include "runtime/time_text.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

namespace troupe {
namespace {

using cluster::node_outcome;


std::string_view text_of(node_outcome state) {
  switch (state) {
    case node_outcome::waiting:
      return "waiting";
    case node_outcome::ready:
      return "ready";
    case node_outcome::active:
      return "active";
    case node_outcome::refused:
      return "refused";
    case node_outcome::unreachable:
      return "unreachable";
    case node_outcome::behind:
      return "behind";
  }
  return "waiting";
}

std::string_view text_of(cluster::push_step step) {
  switch (step) {
    case cluster::push_step::preparing:
      return "preparing";
    case cluster::push_step::canary:
      return "canary";
    case cluster::push_step::active:
      return "active";
    case cluster::push_step::aborted:
      return "aborted";
  }
  return "preparing";
}

cluster_json or_null(std::uint64_t number) {
  return number == 0 ? cluster_json() : cluster_json(number);
}

cluster_json or_null(const std::string& text) {
  return text.empty() ? cluster_json() : cluster_json(text);
}

double rounded(double ms) {
  return std::round(ms * 1000) / 1000;
}

/// 0: it has not come to that.
cluster_json ms_or_null(double ms) {
  return ms == 0 ? cluster_json() : cluster_json(rounded(ms));
}

/// Not a chunk of a directive ("init_by_lua(nginx.conf:4):1: …"), and not an address with its port.
bool is_app_file(std::string_view text) {
  if (text.find_first_of("()[]\n\"") != std::string_view::npos) return false;
  if (text.find("://") != std::string_view::npos) return false;
  return text.ends_with(".conf") || text.ends_with(".lua") || text.find('/') != std::string_view::npos;
}

/// The first "lua/a.lua:3: " of a reason, which may stand behind a node's name, as "file" and "line".
void put_place(cluster_json& body, std::string_view reason) {
  for (std::size_t colon = reason.find(':'); colon != std::string_view::npos;
       colon = reason.find(':', colon + 1)) {
    unsigned line = 0;
    const char* const begin = reason.data() + colon + 1;
    const char* const last = reason.data() + reason.size();
    const auto [end, error] = std::from_chars(begin, last, line);
    if (error != std::errc{} || line == 0 || last - end < 2 || end[0] != ':' || end[1] != ' ') continue;
    std::string_view file = reason.substr(0, colon);
    if (const auto before = file.rfind(": "); before != std::string_view::npos) {
      file.remove_prefix(before + 2);
    }
    if (!is_app_file(file)) continue;
    body["file"] = std::string(file);
    body["line"] = line;
    return;
  }
}

struct node_end {
  node_outcome state;
  std::string reason;
};

/// How it stands with a node when all is done: nothing goes on, and what was aborted serves nowhere.
node_end end_of(const cluster::node_progress& node, const cluster::progress& how) {
  if (!how.done) return {node.state, node.reason};
  const bool is_aborted = how.state == "aborted";
  switch (node.state) {
    case node_outcome::active:
      if (!is_aborted) break;
      return {node_outcome::refused, "went back: " + how.reason};
    case node_outcome::ready:
      return {node_outcome::behind, is_aborted ? "was ready, and the push was aborted" : node.reason};
    case node_outcome::waiting:
      return {node_outcome::behind, is_aborted ? "was not ready yet, and the push was aborted" : node.reason};
    default:
      break;
  }
  return {node.state, node.reason};
}

void put_value(cluster_json& body, const config_value& value) {
  body["value"] = value.type == config_type::string ? cluster_json(value.text)
                                                    : cluster_json::parse(value.text, nullptr, false);
  body["type"] = text(value.type);
}

/// By how many changes, as far as that can be told: what an older epoch has beyond is of a history that
/// was left, and the promotion that began the newer one is lacking at least.
std::uint64_t behind_by(const cluster::position& at, const cluster::position& head) {
  if (at.epoch > head.epoch) return 0;
  const std::uint64_t fewer = head.seq > at.seq ? head.seq - at.seq : 0;
  return at.epoch < head.epoch ? std::max<std::uint64_t>(fewer, 1) : fewer;
}

cluster_json digest_of(const cluster::cluster_state& state, const std::string& app,
                       std::uint32_t release) {
  const auto found = state.apps().find(app);
  if (found == state.apps().end()) return {};
  const auto one = found->second.releases.find(release);
  return one == found->second.releases.end() ? cluster_json() : cluster_json(one->second.manifest.text());
}

}  // namespace

std::string app_of(const cluster::cluster_state& state, std::string_view asked) {
  if (!asked.empty()) return std::string(asked);
  const auto& apps = state.apps();
  return apps.size() == 1 ? apps.begin()->first : "default";
}

cluster_json json_of(const cluster::progress& how) {
  cluster_json body{{"id", cluster::text(how.id)}, {"done", how.done}};
  if (!how.error.empty()) {
    body["error"] = how.error;
    body["reason"] = how.reason;
    put_place(body, how.reason);
  }
  body["release"] = or_null(how.release);
  body["digest"] = how.release == 0 ? cluster_json() : cluster_json(how.manifest.text());
  body["state"] = how.state;
  body["nodes"] = cluster_json::array();
  for (const cluster::node_progress& each : how.nodes) {
    const node_end end = end_of(each, how);
    cluster_json one{{"name", each.name},
                     {"state", text_of(end.state)},
                     {"prepared_ms", ms_or_null(each.prepared_ms)},
                     {"active_ms", ms_or_null(each.active_ms)},
                     {"reason", or_null(end.reason)}};
    if (end.state == node_outcome::refused) put_place(one, each.reason);
    body["nodes"].push_back(std::move(one));
  }
  return body;
}

cluster_json json_of(const cluster::push_record& push, const std::string& app,
                     const cluster::cluster_state& state) {
  cluster_json body{{"id", cluster::text(push.id)},
                    {"done", push.step == cluster::push_step::active ||
                                 push.step == cluster::push_step::aborted}};
  if (push.step == cluster::push_step::aborted) {
    body["error"] = "aborted";
    body["reason"] = push.reason;
    put_place(body, push.reason);
  }
  body["app"] = app;
  body["release"] = or_null(push.release);
  body["digest"] = digest_of(state, app, push.release);
  body["state"] = text_of(push.step);
  return body;
}

cluster_json json_of_nodes(const cluster::query_answer& answer, const cluster::cluster_state& state,
                           const std::string& app) {
  // By the clock of who answers: the newest that it has heard is about now.
  cluster::wall_time newest{};
  for (const auto& each : answer.nodes) newest = std::max(newest, each.heard);
  cluster_json body = cluster_json::array();
  for (const auto& each : answer.nodes) {
    const bool is_live = newest - each.heard <= cluster::membership::live_for;
    const auto active = each.active.find(app);
    const std::uint32_t release = active == each.active.end() ? 0 : active->second;
    cluster_json one{{"name", each.name},
                     {"address", or_null(each.address)},
                     {"role", each.role},
                     {"live", is_live},
                     {"release", or_null(release)},
                     {"digest", digest_of(state, app, release)},
                     {"epoch", each.at.epoch},
                     {"seq", each.at.seq},
                     {"behind", behind_by(each.at, answer.head)},
                     // While it answers it catches up; what it fell behind with began when it was
                     // heard last.
                     {"since", is_live ? cluster_json()
                                       : cluster_json(each.heard.time_since_epoch().count())},
                     {"labels", cluster_json::object()},
                     {"apps", cluster_json::object()},
                     {"serves", or_null(each.serves)},
                     {"version", each.version},
                     {"requests_per_second", rounded(each.requests_per_second)},
                     {"errors_per_second", rounded(each.errors_per_second)},
                     {"problem", or_null(each.problem)}};
    for (const auto& [key, value] : each.labels) one["labels"][key] = value;
    for (const auto& [name, number] : each.active) one["apps"][name] = number;
    body.push_back(std::move(one));
  }
  return body;
}

cluster_json json_of(const cluster::release_info& release, const cluster::app_state& of) {
  const bool is_active = std::ranges::any_of(
      of.active, [&](const cluster::activation& each) { return each.release == release.number; });
  return {{"release", release.number},
          {"parent", or_null(release.parent)},
          {"digest", release.manifest.text()},
          {"time", time_text(release.time)},
          {"author", release.author},
          {"message", release.message},
          {"state", is_active ? "active" : "stored"}};
}

cluster_json json_of_own(const std::string& key, const std::string& given) {
  cluster_json body{{"key", key}};
  put_value(body, config_from_text(given));
  for (const char* unknown : {"version", "time", "author", "scope"}) body[unknown] = nullptr;
  body["own"] = true;
  return body;
}

cluster_json json_of(const std::string& key, const cluster::scoped_value& value) {
  const auto decoded = decode_config(value.value);
  cluster_json body{{"key", key}};
  if (decoded) {
    put_value(body, *decoded);
  } else {
    body["value"] = nullptr;
    body["type"] = nullptr;
  }
  body["version"] = value.seq;
  body["time"] = time_text(value.time);
  body["author"] = value.author;
  body["scope"] = or_null(value.scope.text());
  return body;
}

}  // namespace troupe
