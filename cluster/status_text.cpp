// SPDX-License-Identifier: Apache-2.0
#include "cluster/status_text.hpp"

#include <array>
#include <cstdio>

namespace troupe::cluster {
namespace {

/// A JSON string; what is no UTF-8 is the receiver's to see, control characters are escaped.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      result += escaped.data();
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string_view text_of(push_step step) {
  switch (step) {
    case push_step::preparing:
      return "preparing";
    case push_step::canary:
      return "canary";
    case push_step::active:
      return "active";
    case push_step::aborted:
      return "aborted";
  }
  return "";
}

}  // namespace

std::string aside_text(const std::vector<change>& aside) {
  std::string result = "[";
  bool is_first = true;
  for (const change& one : aside) {
    const auto what = order::decode(one.ordered.bytes);
    if (!what) continue;
    result += std::string(is_first ? "" : ",") + "{\"epoch\":" + std::to_string(one.epoch) +
              ",\"seq\":" + std::to_string(one.seq) + ",\"id\":" + quoted(text(what->id)) +
              ",\"kind\":" + quoted(kind_of(*what)) + ",\"app\":" + quoted(what->app) +
              ",\"author\":" + quoted(what->author) + ",\"message\":" + quoted(what->message);
    if (const auto* value = std::get_if<config_order>(&what->body)) {
      result += ",\"key\":" + quoted(value->key);
    }
    result += '}';
    is_first = false;
  }
  return result + ']';
}

std::string status_text(const cluster_state& state, const std::vector<change>& aside,
                        std::uint64_t denied) {
  std::string result = "{\"controller\":" + quoted(state.controller()) +
                       ",\"epoch\":" + std::to_string(state.at().epoch) +
                       ",\"seq\":" + std::to_string(state.at().seq) +
                       ",\"state\":" + quoted(state.at().state.text()) +
                       ",\"denied\":" + std::to_string(denied) + ",\"pushes\":[";
  bool is_first = true;
  for (const auto& [name, app] : state.apps()) {
    if (!app.under_way) continue;
    result += std::string(is_first ? "" : ",") + "{\"app\":" + quoted(name) +
              ",\"id\":" + quoted(text(app.under_way->id)) +
              ",\"release\":" + std::to_string(app.under_way->release) +
              ",\"state\":" + quoted(text_of(app.under_way->step)) + '}';
    is_first = false;
  }
  return result + "],\"aside\":" + aside_text(aside) + '}';
}

}  // namespace troupe::cluster
