// SPDX-License-Identifier: Apache-2.0
#include "net/log.hpp"

#include <array>

namespace troupe::net {

std::string_view name(log_level level) noexcept {
  static constexpr std::array<std::string_view, 9> names = {
      "", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"};
  auto index = static_cast<std::size_t>(level);
  return index < names.size() ? names[index] : names[0];
}

void append_escaped(std::string& out, std::string_view bytes) {
  static constexpr char digits[] = "0123456789ABCDEF";
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    if (value >= 0x20 && value != 0x7f) {
      out += byte;
    } else {
      out += {'\\', 'x', digits[value >> 4], digits[value & 15]};
    }
  }
}

namespace {
class discarding_log final : public log_context {
 public:
  [[nodiscard]] bool enabled(log_level) const noexcept override { return false; }
  void write(log_level, std::string_view) const noexcept override {}
};
}  // namespace

log_context& null_log() noexcept {
  static discarding_log log;
  return log;
}

}  // namespace troupe::net
