// SPDX-License-Identifier: Apache-2.0
#include "runtime/admin_reply.hpp"

#include <nlohmann/json.hpp>

namespace troupe {

using json = nlohmann::ordered_json;

std::string json_line(const json& body) {
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

admin_response reply(const json& body, int status) {
  return {.status = status, .body = json_line(body) + '\n', .stream = {}};
}

admin_response refusal(int status, std::string_view error, std::string_view reason,
                       std::string_view hint) {
  json body{{"error", error}, {"reason", reason}};
  if (!hint.empty()) body["hint"] = hint;
  return reply(body, status);
}

admin_response storage_failed(const diagnostic& problem) {
  return refusal(507, "storage_failed", text(problem), problem.hint);
}

change_author author_of(const admin_request& asked) {
  const std::string_view name = asked.parameter("author");
  return {name.empty() ? "uid " + std::to_string(asked.peer.uid) : std::string(name),
          "control socket, pid " + std::to_string(asked.peer.pid) + ", uid " +
              std::to_string(asked.peer.uid)};
}

}  // namespace troupe
