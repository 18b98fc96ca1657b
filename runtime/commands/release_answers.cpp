// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/release_answers.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace troupe {
namespace {

constexpr std::size_t most_files_shown = 20;

// Columns are counted in characters, not in bytes.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

// Who wrote a message does not draw on the terminal of who reads it.
std::string printable(const std::string& text) {
  std::string out;
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (code >= 0x20 && code != 0x7f) {
      out += byte;
    } else {
      char shown[8];
      std::snprintf(shown, sizeof shown, "\\x%02X", code);
      out += shown;
    }
  }
  return out;
}

}  // namespace

std::string short_digest(const std::string& digest) {
  return digest.size() > 19 ? digest.substr(0, 19) + "…" : digest;
}

std::string deployed_text(const nlohmann::ordered_json& outcome) {
  const auto& changed = outcome["changed"];
  std::string text = "release " + std::to_string(outcome["release"].get<int>());
  if (outcome["parent"] == outcome["release"]) return text + " serves already: nothing differs";
  if (outcome["parent"].is_number()) {
    text += "  parent " + std::to_string(outcome["parent"].get<int>());
  }
  text += "  " + std::to_string(changed.size()) + (changed.size() == 1 ? " file" : " files") +
          " changed  " + short_digest(outcome["digest"].get<std::string>());
  char times[80];
  std::snprintf(times, sizeof times, "  loaded in %.1f ms, swapped in %.1f ms",
                outcome["load_ms"].get<double>(), outcome["swap_ms"].get<double>());
  text += times;
  for (std::size_t i = 0; i < std::min(changed.size(), most_files_shown); ++i) {
    text += "\n  " + changed[i]["change"].get<std::string>() + ' ' +
            changed[i]["path"].get<std::string>();
  }
  if (changed.size() > most_files_shown) {
    text += "\n  and " + std::to_string(changed.size() - most_files_shown) + " more";
  }
  return text;
}

std::string table_text(std::vector<std::vector<std::string>> rows) {
  for (auto& row : rows) {
    for (std::string& cell : row) cell = printable(cell);
  }
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    if (!text.empty()) text += '\n';
    text += line;
  }
  return text;
}

}  // namespace troupe
