// SPDX-License-Identifier: Apache-2.0
//
// The control socket's releases: /v1/releases, /v1/contents/missing, /v1/rollback, /v1/diff.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cluster/bundle.hpp"
#include "net/thread_priority.hpp"
#include "runtime/admin_api.hpp"
#include "runtime/admin_reply.hpp"
#include "runtime/time_text.hpp"

namespace troupe {
namespace {

using json = nlohmann::ordered_json;

json json_of_problem(const diagnostic& problem) {
  auto or_null = [](const std::string& text) { return text.empty() ? json() : json(text); };
  return {{"reason", problem.reason},
          {"file", or_null(problem.file)},
          {"line", problem.line == 0 ? json() : json(problem.line)},
          {"hint", or_null(problem.hint)},
          {"warning", problem.level >= net::log_level::warn}};
}

int status_of(deploy_errc error) {
  switch (error) {
    case deploy_errc::check_failed:
      return 422;
    case deploy_errc::overtaken:
      return 409;
    case deploy_errc::storage_failed:
      return 507;
    case deploy_errc::unknown_release:
      return 404;
    case deploy_errc::missing_contents:
      return 400;
    case deploy_errc::stopping:
      return 503;
  }
  return 500;
}

admin_response answer_of(const deploy_refusal& refused) {
  json body{{"error", text(refused.error)}};
  const auto first = std::ranges::find_if(refused.problems, [](const diagnostic& problem) {
    return problem.level < net::log_level::warn;
  });
  if (first != refused.problems.end()) {
    body["reason"] = text(*first);
    if (!first->file.empty()) body["file"] = first->file;
    if (first->line != 0) body["line"] = first->line;
  }
  body["active"] = refused.active;
  body["problems"] = json::array();
  for (const diagnostic& problem : refused.problems)
    body["problems"].push_back(json_of_problem(problem));
  return reply(body, status_of(refused.error));
}

json number_or_null(int number) {
  return number == 0 ? json() : json(number);
}

double rounded(double ms) {
  return std::round(ms * 1000) / 1000;
}

admin_response answer_of(const deploy_outcome& outcome) {
  json body{{"release", outcome.release},          {"parent", number_or_null(outcome.parent)},
            {"digest", outcome.digest.text()},     {"changed", json::array()},
            {"load_ms", rounded(outcome.load_ms)}, {"swap_ms", rounded(outcome.swap_ms)}};
  for (const cluster::changed_file& each : outcome.changed) {
    body["changed"].push_back({{"path", each.path}, {"change", text(each.change)}});
  }
  return reply(body);
}

admin_response answer_of(const deploy_result& result) {
  return result ? answer_of(*result) : answer_of(result.error());
}

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return {};
  return number;
}

// A parameter that is a release's number: absent, the number, or a refusal.
tl::expected<std::optional<int>, admin_response> release_parameter(const admin_request& asked,
                                                                   std::string_view name) {
  const std::string_view text = asked.parameter(name);
  if (text.empty()) return std::nullopt;
  const auto number = number_in(text);
  if (!number) {
    return tl::unexpected(
        refusal(400, "bad_request",
                std::string(name) + ": \"" + std::string(text) + "\" is no release's number"));
  }
  return number;
}

}  // namespace

admin_response admin_api::list_releases(const admin_request&) const {
  const auto all = parts_.store.list();
  if (!all) return storage_failed(all.error());
  const auto living = parts_.running.releases();
  // What each release changed of its parent; a parent that is no longer kept says nothing.
  auto changed = [&](const release_record& of) -> json {
    const auto files = parts_.store.manifest_of(of.number);
    if (!files) return {};
    if (of.parent == 0) return files->files.size();
    const auto before = parts_.store.manifest_of(of.parent);
    return before ? json(cluster::compare(*before, *files).size()) : json();
  };
  json body = json::array();
  for (const release_record& each : *all) {
    const auto live = std::ranges::find(living, each.number, &live_release::number);
    body.push_back({{"release", each.number},
                    {"parent", number_or_null(each.parent)},
                    {"digest", each.digest.text()},
                    {"time", time_text(each.time)},
                    {"author", each.author},
                    {"message", each.message},
                    {"changed", changed(each)},
                    {"state", live == living.end() ? "stored" : name(live->state)},
                    {"exchanges", live == living.end() ? 0 : live->exchanges}});
  }
  return reply(body);
}

admin_response admin_api::show_release(const admin_request&, std::string_view rest) const {
  const auto slash = rest.find('/');
  const auto number = number_in(rest.substr(0, slash));
  if (!number) return refusal(400, "bad_request", "that is no release's number");
  if (slash == std::string_view::npos) {
    const auto record = parts_.store.find(*number);
    if (!record) return refusal(404, "unknown_release", text(record.error()));
    const auto files = parts_.store.manifest_of(*number);
    if (!files) return storage_failed(files.error());
    json body{{"release", record->number},       {"parent", number_or_null(record->parent)},
              {"digest", record->digest.text()}, {"time", time_text(record->time)},
              {"author", record->author},        {"message", record->message},
              {"files", json::array()}};
    for (const cluster::manifest_file& each : files->files) {
      body["files"].push_back({{"path", each.path},
                               {"size", each.size},
                               {"executable", each.executable},
                               {"digest", each.content.text()}});
    }
    return reply(body);
  }
  constexpr std::string_view files = "files/";
  const std::string_view path = rest.substr(slash + 1);
  if (!path.starts_with(files)) return refusal(404, "unknown_path", "see docs/admin-api.md");
  auto content = parts_.store.read(*number, path.substr(files.size()));
  if (!content) return refusal(404, "unknown_file", text(content.error()));
  return {.type = "application/octet-stream", .body = std::move(*content), .stream = {}};
}

admin_response admin_api::missing_contents(const admin_request& asked) const {
  // A sweep that is under way ends: what is said to be here must be here still when the rest has come.
  const auto held = parts_.store.blobs().keep_all();
  const auto files = cluster::manifest::decode(asked.body);
  if (!files) return refusal(400, "bad_request", files.error().reason);
  json body = json::array();
  for (const cluster::manifest_file& each : files->files) {
    if (!parts_.store.blobs().has(each.content)) body.push_back(each.content.text());
  }
  return reply(body);
}

admin_response admin_api::apply(const admin_request& asked) const {
  const auto expect = release_parameter(asked, "expect");
  if (!expect) return expect.error();
  auto sent = cluster::bundle::decode(asked.body);
  if (!sent) return refusal(400, "bad_request", sent.error().reason);
  cluster::blob_store& blobs = parts_.store.blobs();
  auto held = blobs.keep_all();
  for (const auto& [name, content] : sent->contents) {
    if (auto put = blobs.put(name, content); !put) {
      return answer_of(parts_.releases->not_stored(author_of(asked), to_diagnostic(put.error())));
    }
  }
  std::optional<deploy_result> result;
  net::run_at_low_priority([&] {
    result = parts_.releases->apply({.files = std::move(sent->files),
                                     .message = std::string(asked.parameter("message")),
                                     .by = author_of(asked),
                                     .expect = *expect,
                                     .held = std::move(held)});
  });
  return answer_of(*result);
}

admin_response admin_api::rollback(const admin_request& asked) const {
  const auto to = release_parameter(asked, "to");
  if (!to) return to.error();
  const auto expect = release_parameter(asked, "expect");
  if (!expect) return expect.error();
  std::optional<deploy_result> result;
  net::run_at_low_priority(
      [&] { result = parts_.releases->rollback(*to, author_of(asked), *expect); });
  return answer_of(*result);
}

admin_response admin_api::diff(const admin_request& asked) const {
  const auto from = release_parameter(asked, "from");
  if (!from) return from.error();
  auto to = release_parameter(asked, "to");
  if (!to) return to.error();
  if (!*from) return refusal(400, "bad_request", "from is needed");
  if (!*to) {
    const auto active = parts_.store.active();
    if (!active) return storage_failed(active.error());
    *to = *active ? (*active)->number : 0;
  }
  for (const int number : {**from, **to}) {
    if (number == 0) continue;  // Nothing: all is added.
    if (const auto known = parts_.store.find(number); !known) {
      return refusal(404, "unknown_release", text(known.error()));
    }
  }
  const auto files = parts_.store.diff(**from, **to);
  if (!files) return storage_failed(files.error());
  json body{{"from", **from}, {"to", **to}, {"files", json::array()}};
  for (const file_diff& each : *files) {
    body["files"].push_back({{"path", each.path},
                             {"change", text(each.change)},
                             {"binary", each.binary},
                             {"diff", each.text}});
  }
  return reply(body);
}

}  // namespace troupe
