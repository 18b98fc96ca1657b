// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/answers.hpp"

#include "runtime/commands/command.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/json_text.hpp"

#include <algorithm>

namespace troupe {
namespace {

std::string document_of(std::string_view error, const diagnostic& problem) {
  std::string out = "{\"error\":" + json_string(error) + ",\"reason\":" + json_string(text(problem));
  if (!problem.file.empty()) out += ",\"file\":" + json_string(problem.file);
  if (problem.line != 0) out += ",\"line\":" + std::to_string(problem.line);
  if (!problem.hint.empty()) out += ",\"hint\":" + json_string(problem.hint);
  return out + '}';
}

}  // namespace

std::string json_of(const diagnostics& problems) {
  std::string out = "[";
  for (const diagnostic& problem : problems) {
    if (out.size() > 1) out += ',';
    out += "{\"reason\":" + json_string(problem.reason);
    out += ",\"file\":" + (problem.file.empty() ? "null" : json_string(problem.file));
    out += ",\"line\":" + (problem.line == 0 ? "null" : std::to_string(problem.line));
    out += ",\"hint\":" + (problem.hint.empty() ? "null" : json_string(problem.hint)) + '}';
  }
  return out += ']';
}

std::string json_refusal(std::string_view error, const diagnostics& problems) {
  std::string out = "{\"error\":" + json_string(error);
  const auto first = std::ranges::find_if(
      problems, [](const diagnostic& problem) { return problem.level < net::log_level::warn; });
  if (first != problems.end()) {
    out += ",\"reason\":" + json_string(text(*first));
    if (!first->file.empty()) out += ",\"file\":" + json_string(first->file);
    if (first->line != 0) out += ",\"line\":" + std::to_string(first->line);
  }
  return out + ",\"problems\":" + json_of(problems) + '}';
}

int refuse_with(bool json, std::string_view error, const diagnostic& problem, int status) {
  complain(problem);
  if (json) say(document_of(error, problem));
  return status;
}

int wrong_usage(bool json, const diagnostic& problem) {
  return refuse_with(json, "bad_request", problem, exit_usage);
}

std::string json_of(const std::vector<listener_info>& listeners) {
  std::string out = "[";
  for (const listener_info& listener : listeners) {
    if (out.size() > 1) out += ',';
    out += "{\"address\":" + json_string(listener.address) +
           ",\"protocol\":" + json_string(listener.protocol) + '}';
  }
  return out += ']';
}

}  // namespace troupe
