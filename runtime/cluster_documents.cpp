// SPDX-License-Identifier: Apache-2.0
#include "runtime/cluster_documents.hpp"

#include "cluster/membership.hpp"
#include "runtime/config_values.hpp"
#include "runtime/time_text.hpp"

#include <algorithm>
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
  }
  body["release"] = or_null(how.release);
  body["digest"] = how.release == 0 ? cluster_json() : cluster_json(how.manifest.text());
  body["state"] = how.state;
  body["nodes"] = cluster_json::array();
  for (const cluster::node_progress& each : how.nodes) {
    body["nodes"].push_back({{"name", each.name},
                             {"state", text_of(each.state)},
                             {"prepared_ms", rounded(each.prepared_ms)},
                             {"active_ms", rounded(each.active_ms)},
                             {"reason", or_null(each.reason)}});
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
    const std::uint64_t behind =
        answer.head.seq > each.at.seq ? answer.head.seq - each.at.seq : 0;
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
                     {"behind", behind},
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

cluster_json json_of(const std::string& key, const cluster::scoped_value& value) {
  const auto decoded = decode_config(value.value);
  cluster_json body{{"key", key}};
  if (!decoded) {
    body["value"] = nullptr;
    body["type"] = nullptr;
  } else {
    body["value"] = decoded->type == config_type::string
                        ? cluster_json(decoded->text)
                        : cluster_json::parse(decoded->text, nullptr, false);
    body["type"] = text(decoded->type);
  }
  body["version"] = value.seq;
  body["time"] = time_text(value.time);
  body["author"] = value.author;
  body["scope"] = or_null(value.scope.text());
  return body;
}

}  // namespace troupe
