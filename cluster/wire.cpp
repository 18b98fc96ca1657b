// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace troupe::cluster {
namespace {

/// The last millisecond of the year 9999: what is later is no time, and sums of two are in range.
constexpr std::uint64_t last_time = 253'402'300'799'999;
constexpr std::uint64_t longest_span = 366ull * 24 * 3600 * 1000;

std::uint64_t clamped(std::int64_t value, std::uint64_t max) {
  return value < 0 ? 0 : std::min(static_cast<std::uint64_t>(value), max);
}

}  // namespace

// ---- writer

void wire_writer::integer(unsigned char form, std::uint64_t value, unsigned bytes) {
  out_ += static_cast<char>(form);
  for (unsigned i = bytes; i > 0; --i) out_ += static_cast<char>(value >> (8 * (i - 1)));
}

void wire_writer::number(std::string_view, std::uint64_t value, std::uint64_t) {
  if (value < 0x80) {
    out_ += static_cast<char>(value);
  } else if (value <= 0xff) {
    integer(0xcc, value, 1);
  } else if (value <= 0xffff) {
    integer(0xcd, value, 2);
  } else if (value <= 0xffff'ffff) {
    integer(0xce, value, 4);
  } else {
    integer(0xcf, value, 8);
  }
}

void wire_writer::real(std::string_view, double value) {
  integer(0xcb, std::bit_cast<std::uint64_t>(std::isfinite(value) ? value : 0.0), 8);
}

void wire_writer::flag(std::string_view, bool value) {
  out_ += static_cast<char>(value ? 0xc3 : 0xc2);
}

void wire_writer::text(std::string_view, std::string_view value, std::size_t) {
  if (value.size() < 32) {
    out_ += static_cast<char>(0xa0 | value.size());
  } else if (value.size() <= 0xff) {
    integer(0xd9, value.size(), 1);
  } else if (value.size() <= 0xffff) {
    integer(0xda, value.size(), 2);
  } else {
    integer(0xdb, value.size(), 4);
  }
  out_ += value;
}

void wire_writer::bytes(std::string_view, std::string_view value, std::size_t) {
  if (value.size() <= 0xff) {
    integer(0xc4, value.size(), 1);
  } else if (value.size() <= 0xffff) {
    integer(0xc5, value.size(), 2);
  } else {
    integer(0xc6, value.size(), 4);
  }
  out_ += value;
}

void wire_writer::id(std::string_view field, const std::array<std::uint8_t, 16>& value) {
  bytes(field, {reinterpret_cast<const char*>(value.data()), value.size()});
}

void wire_writer::time(std::string_view field,
                       std::chrono::sys_time<std::chrono::milliseconds> value) {
  number(field, clamped(value.time_since_epoch().count(), last_time));
}

void wire_writer::span(std::string_view field, std::chrono::milliseconds value) {
  number(field, clamped(value.count(), longest_span));
}

void wire_writer::place(std::string_view field, const position& value) {
  array(3);
  number(field, value.epoch);
  number(field, value.seq);
  name(field, value.state);
}

void wire_writer::array(std::uint32_t count) {
  if (count < 16) {
    out_ += static_cast<char>(0x90 | count);
  } else if (count <= 0xffff) {
    integer(0xdc, count, 2);
  } else {
    integer(0xdd, count, 4);
  }
}

void wire_writer::map_head(std::uint32_t count) {
  if (count < 16) {
    out_ += static_cast<char>(0x80 | count);
  } else if (count <= 0xffff) {
    integer(0xde, count, 2);
  } else {
    integer(0xdf, count, 4);
  }
}

void wire_writer::nil() {
  out_ += static_cast<char>(0xc0);
}

// ---- reader

std::optional<std::uint64_t> wire_reader::after_form(unsigned bytes) {
  if (left_.size() < 1 + bytes) return std::nullopt;
  std::uint64_t value = 0;
  for (unsigned i = 1; i <= bytes; ++i) value = value << 8 | static_cast<unsigned char>(left_[i]);
  left_.remove_prefix(1 + bytes);
  return value;
}

std::string_view wire_reader::take(std::string_view field, std::uint64_t size) {
  if (size > left_.size()) {
    fail(field);
    return {};
  }
  const auto result = left_.substr(0, size);
  left_.remove_prefix(size);
  return result;
}

std::uint64_t wire_reader::integer(std::string_view field, std::uint64_t max) {
  std::optional<std::uint64_t> value;
  if (!left_.empty()) {
    if (form() < 0x80) {
      value = form();
      left_.remove_prefix(1);
    } else if (form() >= 0xcc && form() <= 0xcf) {
      value = after_form(1u << (form() - 0xcc));
    }
  }
  if (!value || *value > max) {
    fail(field);
    return 0;
  }
  return *value;
}

void wire_reader::real(std::string_view field, double& value) {
  value = 0;
  std::optional<std::uint64_t> bits;
  if (!left_.empty() && form() == 0xcb) bits = after_form(8);
  const double got = bits ? std::bit_cast<double>(*bits) : 0;
  if (!bits || !std::isfinite(got)) return fail(field);
  value = got;
}

void wire_reader::flag(std::string_view field, bool& value) {
  value = false;
  if (left_.empty() || (form() != 0xc2 && form() != 0xc3)) return fail(field);
  value = form() == 0xc3;
  left_.remove_prefix(1);
}

std::string_view wire_reader::text_view(std::string_view field, std::size_t max) {
  std::optional<std::uint64_t> size;
  if (!left_.empty()) {
    if ((form() & 0xe0) == 0xa0) {
      size = form() & 0x1f;
      left_.remove_prefix(1);
    } else if (form() >= 0xd9 && form() <= 0xdb) {
      size = after_form(1u << (form() - 0xd9));
    }
  }
  if (!size || *size > max) {
    fail(field);
    return {};
  }
  return take(field, *size);
}

std::string_view wire_reader::bytes_view(std::string_view field, std::size_t max) {
  std::optional<std::uint64_t> size;
  if (!left_.empty() && form() >= 0xc4 && form() <= 0xc6) size = after_form(1u << (form() - 0xc4));
  if (!size || *size > max) {
    fail(field);
    return {};
  }
  return take(field, *size);
}

void wire_reader::text(std::string_view field, std::string& value, std::size_t max) {
  value = text_view(field, max);
}

void wire_reader::bytes(std::string_view field, std::string& value, std::size_t max) {
  value = bytes_view(field, max);
}

void wire_reader::name(std::string_view field, digest& value) {
  const auto found = digest::from_bytes(bytes_view(field, value.bytes.size()));
  value = found.value_or(digest());
  if (!found) fail(field);
}

void wire_reader::key(std::string_view field, public_key& value) {
  const auto found = public_key::from_bytes(bytes_view(field, value.bytes.size()));
  value = found.value_or(public_key());
  if (!found) fail(field);
}

void wire_reader::id(std::string_view field, std::array<std::uint8_t, 16>& value) {
  const auto found = bytes_view(field, value.size());
  value = {};
  if (found.size() != value.size()) return fail(field);
  std::memcpy(value.data(), found.data(), value.size());
}

void wire_reader::time(std::string_view field,
                       std::chrono::sys_time<std::chrono::milliseconds>& value) {
  value = std::chrono::sys_time<std::chrono::milliseconds>(
      std::chrono::milliseconds(static_cast<std::int64_t>(integer(field, last_time))));
}

void wire_reader::span(std::string_view field, std::chrono::milliseconds& value) {
  value = std::chrono::milliseconds(static_cast<std::int64_t>(integer(field, longest_span)));
}

void wire_reader::place(std::string_view field, position& value) {
  record(field, 3, [&] {
    number(field, value.epoch);
    number(field, value.seq);
    name(field, value.state);
  });
}

std::uint32_t wire_reader::array(std::string_view field) {
  std::optional<std::uint64_t> count;
  if (!left_.empty()) {
    if ((form() & 0xf0) == 0x90) {
      count = form() & 0x0f;
      left_.remove_prefix(1);
    } else if (form() == 0xdc || form() == 0xdd) {
      count = after_form(form() == 0xdc ? 2 : 4);
    }
  }
  // Each item takes a byte at least.
  if (!count || *count > left_.size()) {
    fail(field);
    return 0;
  }
  return static_cast<std::uint32_t>(*count);
}

std::uint32_t wire_reader::map_head(std::string_view field) {
  std::optional<std::uint64_t> count;
  if (!left_.empty()) {
    if ((form() & 0xf0) == 0x80) {
      count = form() & 0x0f;
      left_.remove_prefix(1);
    } else if (form() == 0xde || form() == 0xdf) {
      count = after_form(form() == 0xde ? 2 : 4);
    }
  }
  if (!count || *count > left_.size() / 2) {
    fail(field);
    return 0;
  }
  return static_cast<std::uint32_t>(*count);
}

bool wire_reader::take_nil() {
  if (left_.empty() || form() != 0xc0) return false;
  left_.remove_prefix(1);
  return true;
}

// Whatever a newer version may have put there. The items still to come are counted per level, so
// that depth takes no stack.
void wire_reader::skip(std::string_view field) {
  std::array<std::uint64_t, max_skip_depth> open{1};
  std::size_t depth = 0;
  while (true) {
    while (open[depth] == 0) {
      if (depth == 0) return;
      --depth;
    }
    --open[depth];
    if (left_.empty()) return fail(field);
    const unsigned char f = form();
    std::uint64_t inside = 0;
    std::uint64_t size = 0;
    std::optional<std::uint64_t> length = 0;
    if ((f & 0xf0) == 0x90 || f == 0xdc || f == 0xdd) {
      inside = array(field);
    } else if ((f & 0xf0) == 0x80 || f == 0xde || f == 0xdf) {
      inside = 2 * std::uint64_t{map_head(field)};
    } else if ((f & 0xe0) == 0xa0 || (f >= 0xd9 && f <= 0xdb)) {
      text_view(field, SIZE_MAX);
    } else if (f >= 0xc4 && f <= 0xc6) {
      bytes_view(field, SIZE_MAX);
    } else if (f >= 0xc7 && f <= 0xc9) {  // an extension: its length, its type, its bytes
      length = after_form(1u << (f - 0xc7));
      size = length.value_or(0) + 1;
    } else if (f >= 0xd4 && f <= 0xd8) {  // an extension of 1, 2, 4 … bytes
      size = 2 + (std::uint64_t{1} << (f - 0xd4));
    } else if (f == 0xca) {
      size = 5;
    } else if (f >= 0xcb && f <= 0xd3) {  // numbers
      constexpr std::uint8_t sizes[] = {9, 2, 3, 5, 9, 2, 3, 5, 9};
      size = sizes[f - 0xcb];
    } else if (f < 0x80 || f >= 0xe0 || f == 0xc0 || f == 0xc2 || f == 0xc3) {
      size = 1;
    } else {
      return fail(field);
    }
    if (!length) return fail(field);
    take(field, size);
    if (failed()) return;
    if (inside > 0) {
      if (++depth == max_skip_depth) return fail(field);
      open[depth] = inside;
    }
  }
}

}  // namespace troupe::cluster
