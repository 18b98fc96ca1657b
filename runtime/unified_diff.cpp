// SPDX-License-Identifier: Apache-2.0
#include "runtime/unified_diff.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe {
namespace {

/// Texts that differ in more lines are shown as replaced where they differ: the memory grows with
/// the square of it.
constexpr int max_edits = 2000;
constexpr std::size_t context = 3;

using lines = std::vector<std::string_view>;  // each with its newline, if it has one
using line_numbers = std::vector<int>;        // equal lines have equal numbers

lines split(std::string_view text) {
  lines result;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto size = end == std::string_view::npos ? text.size() : end + 1;
    result.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return result;
}

struct edits {
  std::vector<bool> removed;  ///< Of the old lines.
  std::vector<bool> added;    ///< Of the new ones.
};

/// Marks lines [at, …end) of both sides; false: more than max_edits.
bool mark(const line_numbers& a, const line_numbers& b, std::size_t at, std::size_t a_end,
          std::size_t b_end, edits& marks) {
  const int n = static_cast<int>(a_end - at);
  const int m = static_cast<int>(b_end - at);
  const int most = std::min(n + m, max_edits);
  // furthest[k]: how far in `a` the best path on diagonal k = x - y has come; one copy a round.
  std::vector<int> furthest(2 * static_cast<std::size_t>(most) + 3, 0);
  const auto on = [&](std::vector<int>& v, int k) -> int& {
    return v[static_cast<std::size_t>(k + most + 1)];
  };
  std::vector<std::vector<int>> rounds;
  const auto is_down = [&](std::vector<int>& v, int k, int d) {
    return k == -d || (k != d && on(v, k - 1) < on(v, k + 1));
  };
  for (int d = 0; d <= most; ++d) {
    rounds.emplace_back(furthest.begin() + (most + 1 - d - 1),
                        furthest.begin() + (most + 1 + d + 2));
    for (int k = -d; k <= d; k += 2) {
      int x = is_down(furthest, k, d) ? on(furthest, k + 1) : on(furthest, k - 1) + 1;
      int y = x - k;
      // Paths beyond an edge stay where they are; they never reach the corner.
      while (x < n && y < m && y >= 0 &&
             a[at + static_cast<std::size_t>(x)] == b[at + static_cast<std::size_t>(y)]) {
        ++x;
        ++y;
      }
      on(furthest, k) = x;
      if (x < n || y < m) continue;
      // Back along the path.
      for (; d > 0; --d) {
        auto& round = rounds[static_cast<std::size_t>(d)];
        const auto before = [&](int diagonal) {
          return round[static_cast<std::size_t>(diagonal + d + 1)];
        };
        const bool down = k == -d || (k != d && before(k - 1) < before(k + 1));
        k += down ? 1 : -1;
        const int from = before(k);
        if (down) {
          marks.added[at + static_cast<std::size_t>(from - k)] = true;
        } else {
          marks.removed[at + static_cast<std::size_t>(from)] = true;
        }
      }
      return true;
    }
  }
  return false;
}

edits compare(const lines& old_lines, const lines& new_lines) {
  edits marks{.removed = std::vector<bool>(old_lines.size()),
              .added = std::vector<bool>(new_lines.size())};
  std::unordered_map<std::string_view, int> known;
  const auto numbered = [&](const lines& all) {
    line_numbers result;
    result.reserve(all.size());
    for (const auto line : all) {
      result.push_back(known.emplace(line, static_cast<int>(known.size())).first->second);
    }
    return result;
  };
  const line_numbers a = numbered(old_lines);
  const line_numbers b = numbered(new_lines);
  std::size_t same = 0;
  while (same < a.size() && same < b.size() && a[same] == b[same]) ++same;
  std::size_t a_end = a.size();
  std::size_t b_end = b.size();
  while (a_end > same && b_end > same && a[a_end - 1] == b[b_end - 1]) {
    --a_end;
    --b_end;
  }
  if (!mark(a, b, same, a_end, b_end, marks)) {
    std::fill(marks.removed.begin() + static_cast<std::ptrdiff_t>(same),
              marks.removed.begin() + static_cast<std::ptrdiff_t>(a_end), true);
    std::fill(marks.added.begin() + static_cast<std::ptrdiff_t>(same),
              marks.added.begin() + static_cast<std::ptrdiff_t>(b_end), true);
  }
  return marks;
}

void append_line(std::string& out, char sign, std::string_view line) {
  out += sign;
  out += line;
  if (!line.ends_with('\n')) out += "\n\\ No newline at end of file\n";
}

std::string range(std::size_t first, std::size_t count) {
  // The line before, where there is none.
  return std::to_string(count == 0 ? first : first + 1) + ',' + std::to_string(count);
}

}  // namespace

std::string unified_diff(std::string_view from, std::string_view to, std::string_view from_name,
                         std::string_view to_name) {
  if (from == to) return {};
  const lines a = split(from);
  const lines b = split(to);
  const edits marks = compare(a, b);

  std::string out = "--- " + std::string(from_name) + "\n+++ " + std::string(to_name) + '\n';
  std::size_t x = 0;
  std::size_t y = 0;
  const auto changed = [&](std::size_t i, std::size_t j) {
    return (i < a.size() && marks.removed[i]) || (j < b.size() && marks.added[j]);
  };
  while (true) {
    while ((x < a.size() || y < b.size()) && !changed(x, y)) {
      ++x;
      ++y;
    }
    if (x >= a.size() && y >= b.size()) return out;
    const std::size_t lead = std::min({context, x, y});
    const std::size_t first_x = x - lead;
    const std::size_t first_y = y - lead;
    std::string body;
    for (std::size_t i = first_x; i < x; ++i) append_line(body, ' ', a[i]);
    while (true) {
      while (x < a.size() && marks.removed[x]) append_line(body, '-', a[x++]);
      while (y < b.size() && marks.added[y]) append_line(body, '+', b[y++]);
      // The next change is part of this hunk if their contexts touch.
      std::size_t gap = 0;
      while (gap <= 2 * context && (x + gap < a.size() || y + gap < b.size()) &&
             !changed(x + gap, y + gap)) {
        ++gap;
      }
      const bool goes_on = gap <= 2 * context && (x + gap < a.size() || y + gap < b.size());
      const std::size_t tail = goes_on ? gap : std::min({context, a.size() - x, b.size() - y});
      for (std::size_t i = 0; i < tail; ++i) append_line(body, ' ', a[x + i]);
      x += tail;
      y += tail;
      if (!goes_on) break;
    }
    out += "@@ -" + range(first_x, x - first_x) + " +" + range(first_y, y - first_y) + " @@\n";
    out += body;
  }
}

bool is_binary(std::string_view bytes) noexcept {
  return bytes.substr(0, 8000).find('\0') != std::string_view::npos;
}

}  // namespace troupe
