// SPDX-License-Identifier: Apache-2.0
//
// A number's digits without an allocation and without printf, whose parsing of a format costs more
// than the digits.
//
// Thread   any.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe::net {

/// The digits live as long as this object.
class decimal {
public:
  /// @param width  at least so many digits, at most 8; filled up with zeros.
  explicit decimal(std::uint64_t number, std::size_t width = 1) noexcept {
    const char* end = std::to_chars(text_ + padding, text_ + sizeof text_, number).ptr;
    const auto digits = static_cast<std::size_t>(end - (text_ + padding));
    size_ = digits < width ? width : digits;
    for (std::size_t i = digits; i < width; ++i) text_[padding - 1 - (i - digits)] = '0';
    begin_ = padding - (size_ - digits);
  }
  operator std::string_view() const noexcept { return {text_ + begin_, size_}; }

private:
  static constexpr std::size_t padding = 8;
  char text_[padding + 20];
  std::size_t begin_;
  std::size_t size_;
};

}  // namespace troupe::net
