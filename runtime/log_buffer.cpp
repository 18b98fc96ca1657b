// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_buffer.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace troupe {
namespace {

constexpr auto special = [] {
  std::array<bool, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = i < 0x20 || i >= 0x7f || i == '"' || i == '\\';
  }
  return table;
}();
bool is_special(char byte) noexcept { return special[static_cast<unsigned char>(byte)]; }

}  // namespace

log_buffer::log_buffer(std::shared_ptr<const log_file> file, std::size_t capacity,
                       std::chrono::milliseconds flush_after)
    : file_(std::move(file)), capacity_(capacity), flush_after_(flush_after) {
  buffer_.reserve(capacity);
}

log_buffer::~log_buffer() {
  flush();
}

bool log_buffer::write(std::string_view line) noexcept {
  if (line.size() > capacity_ - buffer_.size()) flush();
  if (line.size() > capacity_) {
    file_->write(line);
    return false;
  }
  const bool first = buffer_.empty();
  buffer_.append(line);
  return first && flush_after_.count() > 0;
}

void log_buffer::flush() noexcept {
  if (!buffer_.empty()) file_->write(buffer_);
  buffer_.clear();
}

std::size_t access_escaped_size(std::string_view bytes) noexcept {
  return bytes.size() +
         3 * static_cast<std::size_t>(std::count_if(bytes.begin(), bytes.end(), is_special));
}

char* write_access_escaped(char* out, std::string_view bytes) noexcept {
  static constexpr char digits[] = "0123456789ABCDEF";
  for (const char byte : bytes) {
    if (is_special(byte)) {
      const auto value = static_cast<unsigned char>(byte);
      out = std::copy_n("\\x", 2, out);
      *out++ = digits[value >> 4];
      *out++ = digits[value & 15];
    } else {
      *out++ = byte;
    }
  }
  return out;
}

}  // namespace troupe
