// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/node_call.hpp"

#include <pwd.h>
#include <unistd.h>

#include "runtime/commands/terminal.hpp"
#include "runtime/json_text.hpp"

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

}  // namespace

node_call::node_call(admin_client client, bool json) : client_(std::move(client)), json_(json) {}

tl::expected<node_call, int> node_call::to(const shared_flags& flags) {
  std::optional<admin_client::clock::time_point> deadline;
  if (flags.timeout) {
    deadline = admin_client::clock::now() +
               std::chrono::milliseconds(static_cast<std::int64_t>(*flags.timeout * 1000));
  }
  auto client =
      admin_client::connect(flags.node.empty() ? flags.data_path() : flags.node, deadline);
  if (!client) {
    complain(client.error());
    if (flags.json) {
      say("{\"error\":\"no_node\",\"reason\":" + json_string(client.error().reason) + '}');
    }
    return tl::unexpected<int>(exit_no_answer);
  }
  return node_call(std::move(*client), flags.json);
}

int node_call::give_up(const diagnostic& problem) const {
  complain(problem);
  if (json_) say("{\"error\":\"no_answer\",\"reason\":" + json_string(problem.reason) + '}');
  return exit_no_answer;
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
  return text_in(body, "error") == "overtaken" ? exit_overtaken : exit_refused;
}

tl::expected<json, int> node_call::ask(std::string_view method, const std::string& target,
                                       std::string_view body) {
  const auto reply = client_.ask(method, target, body);
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
  const auto reply = client_.follow(target, [&](std::string_view line) {
    const json value = json::parse(line, nullptr, false);
    return value.is_discarded() || on_line(value);
  });
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
