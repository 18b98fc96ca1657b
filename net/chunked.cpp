// SPDX-License-Identifier: Apache-2.0
#include "net/chunked.hpp"

#include <algorithm>
#include <limits>

namespace troupe::net {
namespace {
constexpr std::int64_t most_overhead = 16384;
constexpr std::uint8_t most_digits = 32;  // Some peers pad with zeros.
constexpr std::uint64_t most_left = std::numeric_limits<std::int64_t>::max();

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) noexcept {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}
}  // namespace

chunked_decoder::status chunked_decoder::decode(std::string_view& in,
                                                std::string_view& piece) noexcept {
  piece = {};
  auto fail = [&] {
    state_ = state::failed;
    return status::failed;
  };
  while (!in.empty()) {
    const char c = in.front();
    switch (state_) {
      case state::size_start: {
        const int digit = hex_digit(c);
        if (digit < 0) return fail();
        left_ = static_cast<std::uint64_t>(digit);
        digits_ = 1;
        state_ = state::size;
        break;
      }
      case state::size:
        if (const int digit = hex_digit(c); digit >= 0) {
          if (left_ > most_left / 16 || ++digits_ > most_digits) return fail();
          left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        } else if (c == '\r') {
          state_ = state::size_lf;
        } else if (c == ';') {
          state_ = state::extension;
        } else if (c == ' ' || c == '\t') {
          state_ = state::size_space;
        } else {
          return fail();
        }
        break;
      case state::size_space:  // Only an extension or the end may follow: "1 2" is no size.
        if (c == '\r') {
          state_ = state::size_lf;
        } else if (c == ';') {
          state_ = state::extension;
        } else if ((c != ' ' && c != '\t') || ++overhead_ > most_overhead) {
          return fail();
        }
        break;
      case state::extension:
        if (c == '\r') {
          state_ = state::size_lf;
        } else if (is_control(c) || ++overhead_ > most_overhead) {
          return fail();
        }
        break;
      case state::size_lf:
        if (c != '\n') return fail();
        if (left_ == 0) {
          overhead_ = 0;
          state_ = state::trailer_start;
        } else {
          state_ = state::data;
        }
        break;
      case state::data: {
        const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
        piece = in.substr(0, part);
        in.remove_prefix(part);
        left_ -= part;
        // Data pays for extensions, so that they may be as long as it is, but not much longer.
        overhead_ = part < static_cast<std::size_t>(overhead_)
                        ? overhead_ - static_cast<std::int64_t>(part)
                        : 0;
        if (left_ == 0) state_ = state::data_cr;
        return status::need_more;
      }
      case state::data_cr:
        if (c != '\r') return fail();
        state_ = state::data_lf;
        break;
      case state::data_lf:
        if (c != '\n') return fail();
        state_ = state::size_start;
        break;
      case state::trailer_start:
        if (c == '\r') {
          state_ = state::last_lf;
          break;
        }
        if (c == ':') return fail();
        state_ = state::trailer_name;
        [[fallthrough]];
      case state::trailer_name:
        if (c == ':') {
          state_ = state::trailer_value;
        } else if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
          return fail();
        }
        if (++overhead_ > most_overhead) return fail();
        break;
      case state::trailer_value:
        if (c == '\r') {
          state_ = state::trailer_lf;
        } else if (is_control(c) || ++overhead_ > most_overhead) {
          return fail();
        }
        break;
      case state::trailer_lf:
        if (c != '\n') return fail();
        state_ = state::trailer_start;
        break;
      case state::last_lf:
        if (c != '\n') return fail();
        in.remove_prefix(1);
        state_ = state::done;
        return status::done;
      case state::done:
        return status::done;
      case state::failed:
        return status::failed;
    }
    in.remove_prefix(1);
  }
  if (state_ == state::done) return status::done;
  return state_ == state::failed ? status::failed : status::need_more;
}

std::size_t write_chunk_head(char* to, std::size_t size) noexcept {
  char digits[16];
  std::size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[size & 15];
    size >>= 4;
  } while (size != 0);
  for (std::size_t i = 0; i < count; ++i) to[i] = digits[count - 1 - i];
  to[count] = '\r';
  to[count + 1] = '\n';
  return count + 2;
}

}  // namespace troupe::net
