// SPDX-License-Identifier: Apache-2.0
#include "cluster/selector.hpp"

#include "cluster/digest.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::cluster {
namespace {

bool is_label_text(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/' || c == ':';
  });
}

tl::unexpected<refusal> wrong(std::string_view part, std::string_view what) {
  return tl::unexpected(
      refusal{.errc = refusal_errc::malformed,
              .reason = "\"" + std::string(part.substr(0, 200)) + "\" " + std::string(what)});
}

}  // namespace

tl::expected<std::pair<std::string, std::string>, refusal> parse_label(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return wrong(text, "is no label: NAME=VALUE");
  const auto name = text.substr(0, equals);
  const auto value = text.substr(equals + 1);
  if (name.empty() || !is_label_text(name) || !is_label_text(value)) {
    return wrong(text, "is no label: NAME=VALUE of letters, digits and _ - . / :");
  }
  if (name.size() > selector::max_label_bytes || value.size() > selector::max_label_bytes) {
    return wrong(text, "is too long for a label");
  }
  return std::pair(std::string(name), std::string(value));
}

bool selector::matches(std::string_view node_name, const label_map& of_node) const {
  for (const auto& [name, value] : labels) {
    const auto found = of_node.find(name);
    if (found == of_node.end() || found->second != value) return false;
  }
  return percent >= 100 || least_percent(node_name) <= percent;
}

unsigned selector::least_percent(std::string_view node_name) const {
  std::string hashed = salt;
  hashed += '\0';
  hashed += node_name;
  const digest place = digest::of(hashed);
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | place.bytes[i];
  // A larger share of the same salt has all nodes of a smaller one.
  return static_cast<unsigned>(number % 10'000 / 100) + 1;
}

bool selector::covers(const selector& other) const {
  for (const auto& [name, value] : labels) {
    const auto found = other.labels.find(name);
    if (found == other.labels.end() || found->second != value) return false;
  }
  return percent >= 100 || (salt == other.salt && other.percent <= percent);
}

std::string selector::text() const {
  std::string result;
  for (const auto& [name, value] : labels) {
    if (!result.empty()) result += ',';
    result += name + '=' + value;
  }
  if (percent < 100) {
    if (!result.empty()) result += ',';
    result += std::to_string(percent) + '%';
  }
  return result;
}

tl::expected<selector, refusal> selector::parse(std::string_view text) {
  selector result;
  bool has_percent = false;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (comma != std::string_view::npos && text.empty())
      return wrong(part, "is followed by nothing");
    if (part.ends_with('%')) {
      const char* end = part.data() + part.size() - 1;
      const auto [stop, error] = std::from_chars(part.data(), end, result.percent);
      if (error != std::errc() || stop != end || result.percent < 1 || result.percent > 100) {
        return wrong(part, "is no share: 1% to 100%");
      }
      if (has_percent) return wrong(part, "is a second share");
      has_percent = true;
      continue;
    }
    auto label = parse_label(part);
    if (!label) return tl::unexpected(std::move(label.error()));
    if (!result.labels.insert(*std::move(label)).second) return wrong(part, "comes twice");
    if (result.labels.size() > max_labels) return wrong(part, "is one label too many");
  }
  return result;
}

}  // namespace troupe::cluster
