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
  if (count.done > 0 && count.longest_ms > 0) {
    std::snprintf(numbers, sizeof numbers, "   %.0f ms", count.longest_ms);
    text += numbers;
  }
  return text;
}

/// Null: it has not come to that.
double ms_of(const nlohmann::ordered_json& value) {
  return value.is_number() ? value.get<double>() : 0;
}

std::string time_text(std::chrono::milliseconds time) {
  if (time.count() != 0 && time.count() < 1000) return std::to_string(time.count()) + " ms";
  return std::to_string((time.count() + 500) / 1000) + " s";
}

}  // namespace

std::string progress_display::text_of(const std::string& heading,
                                      const nlohmann::ordered_json& news, bool bars,
                                      const shown_canary& of) {
  step_count prepared;
  step_count active;
  std::string problems;
  std::size_t named = 0;
  const std::string state = news["state"].get<std::string>();
  const bool is_aborted = state == "aborted";
  bool went_back = false;
  for (const auto& node : news["nodes"]) {
    const auto its = node["state"].get<std::string>();
    const double prepared_ms = ms_of(node["prepared_ms"]);
    const double active_ms = ms_of(node["active_ms"]);
    if (prepared_ms > 0 || its == "ready" || its == "active") {
      ++prepared.done;
      prepared.longest_ms = std::max(prepared.longest_ms, prepared_ms);
    }
    if (its == "active") {
      ++active.done;
      active.longest_ms = std::max(active.longest_ms, active_ms);
    }
    if (its != "refused" && its != "unreachable" && its != "behind") continue;
    // Whom the push was aborted for is worth a line; not all who were ready, or a canary that did as it
    // was told.
    if (is_aborted && active_ms > 0) went_back = true;
    if (is_aborted && (active_ms > 0 || its == "behind")) continue;
    if (++named > most_nodes_named) continue;
    problems += "\n  ";
    net::append_escaped(problems, node["name"].get<std::string>());
    problems += ' ' + its;
    if (node["reason"].is_string()) {
      problems += ": ";
      net::append_escaped(problems, node["reason"].get<std::string>());
    }
  }
  if (named > most_nodes_named) {
    problems += "\n  and " + std::to_string(named - most_nodes_named) + " more";
  }
  const std::size_t all = news["nodes"].size();
  std::string text = heading;
  text += '\n' + line("prepared", prepared, all, bars);
  if (!of.names.empty()) {
    text += '\n' + line("canary", {of.nodes, 0}, all, bars) + "   ";
    net::append_escaped(text, of.names);
    if (state == "canary") {
      text += "  watched for " + time_text(of.watch);
      if (bars) text += ", " + time_text(of.left) + " left";
    }
  } else if (state == "canary") {
    text += "\n  canary    being activated";
  }
  if (went_back) {
    text += "\n  went back: ";
    if (news.contains("reason")) net::append_escaped(text, news["reason"].get<std::string>());
  } else if (state != "canary") {
    text += '\n' + line("active", active, all, bars);
  }
  return text + problems;
}

void progress_display::see_canary(const nlohmann::ordered_json& news) {
  if (!canary_watch_ || news["state"] != "canary") return;
  shown_canary now{.watch = *canary_watch_};
  for (const auto& node : news["nodes"]) {
    if (node["state"] != "active") continue;
    if (++now.nodes > most_nodes_named) continue;
    now.names += (now.names.empty() ? "" : ", ") + node["name"].get<std::string>();
  }
  if (now.nodes > most_nodes_named) {
    now.names += " and " + std::to_string(now.nodes - most_nodes_named) + " more";
  }
  if (now.nodes != canary_.nodes) canary_began_ = clock::now();
  const auto passed = std::chrono::duration_cast<milliseconds>(clock::now() - canary_began_);
  now.left = std::max(*canary_watch_ - passed, milliseconds(0));
  canary_ = std::move(now);
}

void progress_display::show(const std::string& heading, const nlohmann::ordered_json& news) {
  if (!shows_) return;
  const bool is_last = news["done"].get<bool>();
  // Before any node has heard of it there are no steps to show.
  if (news["nodes"].empty() && (!is_last || (lines_ == 0 && news.contains("error")))) return;
  const std::size_t canaries_before = canary_.nodes;
  see_canary(news);
  if (!is_terminal_) {
    // Said when all of it are active, which is when there are no more of them than before.
    const bool is_watched = news["state"] == "canary" && canary_.nodes != 0;
    if (is_watched && canary_.nodes == canaries_before && !has_said_canary_) {
      has_said_canary_ = true;
      say(text_of(heading, news, false, canary_));
      return;
    }
    if (!is_last) return;
    std::string text = text_of(heading, news, false, has_said_canary_ ? shown_canary() : canary_);
    // The heading and what was prepared have been said.
    if (has_said_canary_) text = text.substr(text.find('\n', text.find('\n') + 1) + 1);
    say(text);
    return;
  }
  const std::string text = text_of(heading, news, true, canary_);
  std::string out;
  if (lines_ > 0) out = "\033[" + std::to_string(lines_) + "F\033[J";
  lines_ = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  say(out + text);
}

}  // namespace troupe
