// SPDX-License-Identifier: Apache-2.0
#include "troupe/diagnostic.hpp"

#include <algorithm>

namespace troupe {

std::string text(const diagnostic& problem) {
  if (problem.file.empty()) return problem.reason;
  if (problem.line == 0) return problem.file + ": " + problem.reason;
  return problem.file + ':' + std::to_string(problem.line) + ": " + problem.reason;
}

std::string nginx_text(const diagnostic& problem) {
  if (problem.file.empty()) return problem.reason;
  if (problem.line == 0) return problem.reason + " in " + problem.file;
  return problem.reason + " in " + problem.file + ':' + std::to_string(problem.line);
}

bool is_fatal(const diagnostics& problems) noexcept {
  return std::any_of(problems.begin(), problems.end(), [](const diagnostic& problem) {
    // nginx logs an alert (lua_code_cache off) and goes on.
    return problem.level < net::log_level::warn && problem.level != net::log_level::alert;
  });
}

}  // namespace troupe
