// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/answers.hpp"

#include "runtime/json_text.hpp"

#include <algorithm>

namespace troupe {

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
