// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/terminal.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace troupe {
namespace {

void put(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

void say(std::string_view line) {
  put(stdout, std::string(line) + '\n');
}

bool has_colour(std::FILE* stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(fileno(stream)) == 1 && (no_colour == nullptr || *no_colour == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::string complaint(const diagnostic& problem, bool colour) {
  const char* bold = colour ? "\033[1m" : "";
  const char* red = colour ? "\033[31m" : "";
  const char* yellow = colour ? "\033[33m" : "";
  const char* plain = colour ? "\033[0m" : "";
  const bool is_warning = problem.level >= net::log_level::warn;
  const std::string whole = text(problem);
  const std::string place = whole.substr(0, whole.size() - problem.reason.size());
  std::string out;
  net::append_escaped(out, place);
  if (!out.empty()) out = bold + out + plain;
  if (is_warning) out += std::string(yellow) + "warning: ";
  if (!is_warning) out += red;
  // A reason may have lines (a traceback); what else is in it must not talk to the terminal.
  for (std::size_t at = 0; at <= problem.reason.size();) {
    const std::size_t end = std::min(problem.reason.find('\n', at), problem.reason.size());
    if (at > 0) out += '\n';
    net::append_escaped(out, std::string_view(problem.reason).substr(at, end - at));
    at = end + 1;
  }
  out += plain;
  out += '\n';
  if (!problem.hint.empty()) out += "  hint: " + problem.hint + '\n';
  return out;
}

void complain(const diagnostic& problem) {
  put(stderr, complaint(problem, has_colour(stderr)));
}

void complain(const diagnostics& problems) {
  for (const diagnostic& problem : problems) complain(problem);
}

}  // namespace troupe
