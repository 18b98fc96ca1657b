// SPDX-License-Identifier: Apache-2.0
//
// C functions that libraries look for in the running program by `ffi.C.ngx_…`, since they call into
// nginx itself: resty.string does. The only names that the program exports (lua/CMakeLists.txt).
//
// Source   what resty.string declares and expects of them.
// Thread   any.
// Called   by Lua code through the FFI, compiled or not.
#include <cstddef>
#include <cstdint>
#include <limits>

// Declared here, as no C++ of ours calls them.
extern "C" {
unsigned char* ngx_hex_dump(unsigned char* out, const unsigned char* bytes,
                            std::size_t size) noexcept;
std::intptr_t ngx_atoi(const unsigned char* text, std::size_t size) noexcept;

/// Writes two lower-case digits a byte, without a final zero. @return behind the last
unsigned char* ngx_hex_dump(unsigned char* out, const unsigned char* bytes,
                            std::size_t size) noexcept {
  static constexpr char digits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < size; ++i) {
    *out++ = static_cast<unsigned char>(digits[bytes[i] >> 4]);
    *out++ = static_cast<unsigned char>(digits[bytes[i] & 15]);
  }
  return out;
}

/// A decimal number without sign. @return -1 if it is none, or too large
std::intptr_t ngx_atoi(const unsigned char* text, std::size_t size) noexcept {
  constexpr std::intptr_t most = std::numeric_limits<std::intptr_t>::max();
  if (size == 0) return -1;
  std::intptr_t number = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    const std::intptr_t digit = text[i] - '0';
    if (number > (most - digit) / 10) return -1;
    number = number * 10 + digit;
  }
  return number;
}
}
