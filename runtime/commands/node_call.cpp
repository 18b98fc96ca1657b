// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/node_call.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "runtime/commands/answers.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/data_folder.hpp"

namespace troupe {
namespace {

using json = node_call::json;

std::string text_in(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

diagnostic problem_of(const json& object) {
  diagnostic problem{.file = text_in(object, "file"),
                     .reason = text_in(object, "reason"),
                     .hint = text_in(object, "hint")};
  if (const auto line = object.find("line"); line != object.end() && line->is_number_unsigned()) {
    problem.line = line->get<unsigned>();
  }
  if (object.value("warning", false)) problem.level = net::log_level::warn;
  return problem;
}

// Nodes whose control sockets this user may have, where data folders lie by default.
std::vector<std::string> running_nodes() {
  const std::filesystem::path base = std::filesystem::path(data_folder::default_path("x")).parent_path();
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(base, error), end; !error && at != end;
       at.increment(error)) {
    if (std::filesystem::is_socket(at->path() / "control.sock", error)) {
      found.push_back(at->path().string());
    }
    error.clear();
  }
  std::ranges::sort(found);
  return found;
}

// The node that is meant when nobody says: `local`; else the first that runs here, one of a cluster
// before others.
tl::expected<admin_client, diagnostic> connect_to_any(
    const std::string& local, std::optional<admin_client::clock::time_point> deadline) {
  auto first = admin_client::connect(local, deadline);
  if (first) return first;
  std::optional<admin_client> other;
  for (const std::string& each : running_nodes()) {
    auto client = admin_client::connect(each, deadline);
    if (!client) continue;
    const auto answer = client->ask("GET", "/v1/cluster");
    if (answer && answer->is_success()) return client;
    if (answer && !other) other.emplace(std::move(*client));
  }
  if (other) return std::move(*other);
  return first;
}

bool is_address(const std::string& node) {
  const auto colon = node.rfind(':');
  return node.find('/') == std::string::npos && colon != std::string::npos &&
         colon + 1 < node.size() &&
         node.find_first_not_of("0123456789", colon + 1) == std::string::npos;
}

}  // namespace

tl::expected<node_call, int> node_call::to(const shared_flags& flags) {
  std::optional<admin_client::clock::time_point> deadline;
  if (flags.timeout) {
    deadline = admin_client::clock::now() +
               std::chrono::milliseconds(static_cast<std::int64_t>(*flags.timeout * 1000));
  }
  node_call made(flags.json, deadline);
  const auto unreachable = [&](const diagnostic& problem) {
    return tl::unexpected<int>(refuse_with(flags.json, "no_node", problem, exit_no_answer));
  };
  if (is_address(flags.node)) {
    auto link = open_link_line(flags.node, flags.keys_path(), deadline);
    if (!link) return unreachable(link.error());
    made.link_ = std::move(*link);
    return made;
  }
  auto client = flags.says_which
                    ? admin_client::connect(flags.node.empty() ? flags.data_path() : flags.node, deadline)
                    : connect_to_any(flags.data_path(), deadline);
  if (!client) return unreachable(client.error());
  made.client_.emplace(std::move(*client));
  return made;
}

tl::expected<admin_client::reply, diagnostic> node_call::try_ask(std::string_view method,
                                                                 const std::string& target,
                                                                 std::string_view body) {
  const std::string whole = with_wait(target);
  return client_ ? client_->ask(method, whole, body) : link_->ask(method, whole, body);
}

tl::expected<admin_client::reply, diagnostic> node_call::try_follow(
    std::string_view method, const std::string& target, std::string_view body,
    const std::function<bool(const json& line)>& on_line) {
  const auto take = [&](std::string_view line) {
    const json value = json::parse(line, nullptr, false);
    return value.is_discarded() || on_line(value);
  };
  const std::string whole = with_wait(target);
  return client_ ? client_->follow(method, whole, body, take)
                 : link_->follow(method, whole, body, take);
}

std::string node_call::with_wait(const std::string& target) const {
  if (!deadline_) return target;
  constexpr std::int64_t for_the_answer_ms = 300;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                        *deadline_ - admin_client::clock::now())
                        .count();
  const std::int64_t wait = std::max<std::int64_t>(left - std::min(for_the_answer_ms, left / 4), 0);
  return target + (target.find('?') == std::string::npos ? "?" : "&") +
         "wait_ms=" + std::to_string(wait);
}

tl::expected<json, int> node_call::cluster() {
  const auto reply = try_ask("GET", "/v1/cluster", {});
  if (!reply) return tl::unexpected(give_up(reply.error()));
  if (!reply->is_success()) {
    // Of a node that stands alone there is no such path, or it has no releases at all.
    if (reply->status == 404 || reply->status == 409) return json();
    return tl::unexpected(refuse(*reply));
  }
  return json::parse(reply->body, nullptr, false);
}

tl::expected<json, int> node_call::need_cluster() {
  auto found = cluster();
  if (found && found->is_null()) {
    return tl::unexpected<int>(refuse_with(
        json_, "no_cluster",
        {.reason = "the node is in no cluster",
         .hint = "`troupe node` starts one that is; --node, --name or --data say which one is meant"},
        exit_refused));
  }
  return found;
}

int node_call::give_up(const diagnostic& problem, std::string_view error) const {
  return refuse_with(json_, error, problem, exit_no_answer);
}

int node_call::refuse(const admin_client::reply& reply) const {
  const json body = json::parse(reply.body, nullptr, false);
  if (!body.is_object()) return give_up({.reason = "the node gave an answer that is no JSON"});
  if (const auto problems = body.find("problems"); problems != body.end() && !problems->empty()) {
    for (const json& each : *problems) complain(problem_of(each));
  } else {
    complain(problem_of(body));
  }
  if (json_) say(body.dump());
  const std::string error = text_in(body, "error");
  if (error == "overtaken") return exit_overtaken;
  return error == "no_answer" || error == "no_controller" ? exit_no_answer : exit_refused;
}

tl::expected<json, int> node_call::ask(std::string_view method, const std::string& target,
                                       std::string_view body) {
  const auto reply = try_ask(method, target, body);
  if (!reply) return tl::unexpected(give_up(reply.error()));
  if (!reply->is_success()) return tl::unexpected(refuse(*reply));
  json answer = json::parse(reply->body, nullptr, false);
  if (answer.is_discarded()) {
    return tl::unexpected(give_up({.reason = "the node gave an answer that is no JSON"}));
  }
  return answer;
}

int node_call::follow(const std::string& target,
                      const std::function<bool(const json& line)>& on_line) {
  const auto reply = try_follow("GET", target, {}, on_line);
  if (!reply) return give_up(reply.error());
  return reply->is_success() ? exit_done : refuse(*reply);
}

std::string command_author() {
  std::string name;
  if (const passwd* user = getpwuid(getuid()); user != nullptr) name = user->pw_name;
  if (name.empty()) name = std::to_string(getuid());
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) == 0 && *host != '\0') name += '@' + std::string(host);
  return name;
}

}  // namespace troupe
