// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/progress_display.hpp"

#include "net/log.hpp"
#include "runtime/commands/terminal.hpp"

#include <algorithm>
#include <cstdio>

namespace troupe {
namespace {

constexpr std::size_t bar_width = 20;
constexpr std::size_t most_nodes_named = 20;

std::string bar(std::size_t done, std::size_t of) {
  const std::size_t full = of == 0 ? bar_width : done * bar_width / of;
  std::string text;
  for (std::size_t i = 0; i < bar_width; ++i) text += i < full ? "█" : "░";
  return text;
}

struct step_count {
  std::size_t done = 0;
  double longest_ms = 0;
};

std::string line(const char* name, const step_count& count, std::size_t of, bool bars) {
  char numbers[64];
  std::snprintf(numbers, sizeof numbers, "%zu/%zu", count.done, of);
  std::string text = "  " + std::string(name) + std::string(10 - std::string_view(name).size(), ' ');
  if (bars) text += bar(count.done, of) + "  ";
  text += numbers;
  if (count.done > 0) {
    std::snprintf(numbers, sizeof numbers, "   %.0f ms", count.longest_ms);
    text += numbers;
  }
  return text;
}

}  // namespace

std::string progress_display::text_of(const std::string& heading,
                                      const nlohmann::ordered_json& news, bool bars) {
  step_count prepared;
  step_count active;
  std::string problems;
  std::size_t named = 0;
  for (const auto& node : news["nodes"]) {
    const auto state = node["state"].get<std::string>();
    const double prepared_ms = node["prepared_ms"].get<double>();
    const double active_ms = node["active_ms"].get<double>();
    if (prepared_ms > 0 || state == "ready" || state == "active") {
      ++prepared.done;
      prepared.longest_ms = std::max(prepared.longest_ms, prepared_ms);
    }
    if (state == "active") {
      ++active.done;
      active.longest_ms = std::max(active.longest_ms, active_ms);
    }
    if (state != "refused" && state != "unreachable" && state != "behind") continue;
    if (++named > most_nodes_named) continue;
    problems += "\n  ";
    net::append_escaped(problems, node["name"].get<std::string>());
    problems += ' ' + state;
    if (node["reason"].is_string()) {
      problems += ": ";
      net::append_escaped(problems, node["reason"].get<std::string>());
    }
  }
  if (named > most_nodes_named) {
    problems += "\n  and " + std::to_string(named - most_nodes_named) + " more";
  }
  const std::size_t all = news["nodes"].size();
  const std::string state = news["state"].get<std::string>();
  std::string text = heading;
  text += '\n' + line("prepared", prepared, all, bars);
  // A canary and its watching are worth a word: they take their time.
  if (state == "canary") text += "\n  canary    watched";
  text += '\n' + line("active", active, all, bars);
  return text + problems;
}

void progress_display::show(const std::string& heading, const nlohmann::ordered_json& news) {
  if (!shows_) return;
  const bool is_last = news["done"].get<bool>();
  // Before any node has heard of it there are no steps to show.
  if (news["nodes"].empty() && (!is_last || (lines_ == 0 && news.contains("error")))) return;
  if (!is_terminal_) {
    if (is_last) say(text_of(heading, news, false));
    return;
  }
  const std::string text = text_of(heading, news, true);
  std::string out;
  if (lines_ > 0) out = "\033[" + std::to_string(lines_) + "F\033[J";
  lines_ = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  say(out + text);
}

}  // namespace troupe
