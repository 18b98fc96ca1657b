// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_buffer.hpp"

#include <utility>

namespace troupe {

log_buffer::log_buffer(std::shared_ptr<const log_file> file, std::size_t capacity,
                       std::chrono::milliseconds flush_after)
    : file_(std::move(file)), capacity_(capacity), flush_after_(flush_after) {
  buffer_.reserve(capacity);
}

log_buffer::~log_buffer() {
  flush();
}

bool log_buffer::write(std::string_view line) noexcept {
  if (line.size() + 1 > capacity_ - buffer_.size()) flush();
  if (line.size() + 1 > capacity_) {
    file_->write(line, "\n");
    return false;
  }
  const bool first = buffer_.empty();
  buffer_.append(line).push_back('\n');
  return first && flush_after_.count() > 0;
}

void log_buffer::flush() noexcept {
  if (!buffer_.empty()) file_->write(buffer_);
  buffer_.clear();
}

void append_access_escaped(std::string& out, std::string_view bytes) {
  static constexpr char digits[] = "0123456789ABCDEF";
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value >= 0x7f || byte == '"' || byte == '\\') {
      out += {'\\', 'x', digits[value >> 4], digits[value & 15]};
    } else {
      out += byte;
    }
  }
}

}  // namespace troupe
