// SPDX-License-Identifier: Apache-2.0
#include "cluster/bounded_log.hpp"

#include <utility>

namespace troupe::cluster {

bounded_log::bounded_log(log_function log, log_level level, unsigned lines, std::chrono::seconds in)
    : log_(std::move(log)), level_(level), lines_(lines), in_(in) {}

void bounded_log::line(const std::string& text, instant now) {
  if (now - begun_ >= in_) {
    if (untold_ > 0 && log_) {
      log_(level_, "… and " + std::to_string(untold_) + " more like the last lines");
    }
    begun_ = now;
    written_ = 0;
    untold_ = 0;
  }
  if (written_ >= lines_) {
    ++untold_;
    ++kept_back_;
    return;
  }
  ++written_;
  if (log_) log_(level_, text);
}

std::string printable(std::string_view bytes, std::size_t at_most) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (const char c : bytes.substr(0, at_most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      result += c;
    } else {
      result += "\\x";
      result += digits[byte >> 4];
      result += digits[byte & 15];
    }
  }
  if (bytes.size() > at_most) result += "…";
  return result;
}

}  // namespace troupe::cluster
