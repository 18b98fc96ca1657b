// SPDX-License-Identifier: Apache-2.0
#include "cluster/ignore_list.hpp"

#include <cstddef>
#include <utility>

namespace troupe::cluster {
namespace {

/// Takes a `[…]` off the pattern. None: it does not end, and `[` stands for itself.
bool matches_class(std::string_view& pattern, unsigned char c, bool& matched) {
  std::size_t at = 1;
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) ++at;
  bool found = false;
  for (bool first = true; at < pattern.size(); first = false) {
    if (pattern[at] == ']' && !first) {
      pattern.remove_prefix(at + 1);
      matched = found != negated && c != '/';
      return true;
    }
    const auto low = static_cast<unsigned char>(pattern[at]);
    unsigned char high = low;
    if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
      high = static_cast<unsigned char>(pattern[at + 2]);
      at += 2;
    }
    if (low <= c && c <= high) found = true;
    ++at;
  }
  return false;
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
  // On a mismatch the last star takes one byte more; if it must not, the last `**` does.
  struct retry {
    std::string_view pattern;
    std::string_view text;
    bool possible = false;
  };
  retry star;
  retry stars;
  const auto again = [&](retry& r) {
    if (!r.possible || r.text.empty()) return false;
    r.text.remove_prefix(1);
    pattern = r.pattern;
    text = r.text;
    return true;
  };
  while (true) {
    if (pattern.starts_with("**")) {
      while (!pattern.empty() && pattern.front() == '*') pattern.remove_prefix(1);
      // "**/" is also no folder at all.
      if (pattern.starts_with('/') && matches_glob(pattern.substr(1), text)) return true;
      stars = {.pattern = pattern, .text = text, .possible = true};
      star.possible = false;
      continue;
    }
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      star = {.pattern = pattern, .text = text, .possible = true};
      continue;
    }
    if (pattern.empty() && text.empty()) return true;
    bool matched = false;
    if (!pattern.empty() && !text.empty()) {
      std::string_view rest = pattern;
      const char c = text.front();
      if (pattern.front() == '[' && matches_class(rest, static_cast<unsigned char>(c), matched)) {
        // `rest` is behind the class.
      } else {
        const bool escaped = pattern.front() == '\\' && pattern.size() > 1;
        matched = escaped ? pattern[1] == c
                          : pattern.front() == c || (pattern.front() == '?' && c != '/');
        rest = pattern.substr(escaped ? 2 : 1);
      }
      if (matched) {
        pattern = rest;
        text.remove_prefix(1);
        continue;
      }
    }
    if (star.possible && !star.text.empty() && star.text.front() != '/' && again(star)) continue;
    star.possible = false;
    if (again(stars)) continue;
    return false;
  }
}

ignore_list::ignore_list(std::string_view text) {
  const auto built_in = [this](const char* pattern, bool from_top = false,
                               bool folders_only = false) {
    rules_.push_back({pattern, from_top, folders_only, false});
  };
  built_in(".git");
  built_in("*~");          // Emacs, nano
  built_in(".*.sw[a-p]");  // Vim
  built_in(".#*");         // Emacs's locks, links that lead nowhere
  built_in("#*#");
  built_in("*.log");  // What a running node writes
  built_in("*.pid");
  built_in("logs", true, true);
  built_in("*_temp", true, true);
  while (!text.empty()) {
    const auto end = text.find('\n');
    add(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

void ignore_list::add(std::string_view line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) {
    line.remove_suffix(1);
  }
  if (line.empty() || line.front() == '#') return;
  rule r;
  if (line.front() == '!') {
    r.again = true;
    line.remove_prefix(1);
  }
  if (line.ends_with('/')) {
    r.folders_only = true;
    line.remove_suffix(1);
  }
  r.from_top = line.find('/') != std::string_view::npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  if (line.empty()) return;
  r.pattern = line;
  rules_.push_back(std::move(r));
}

bool ignore_list::ignores(std::string_view path, bool is_folder) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  for (auto r = rules_.rbegin(); r != rules_.rend(); ++r) {
    if (r->folders_only && !is_folder) continue;
    if (matches_glob(r->pattern, r->from_top ? path : name)) return !r->again;
  }
  return false;
}

}  // namespace troupe::cluster
