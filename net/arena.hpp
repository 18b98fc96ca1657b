// SPDX-License-Identifier: Apache-2.0
//
// A bump allocator for what lives as long as one exchange. Freed all at once by reset(), which
// keeps the first block, so that a steady state allocates nothing.
//
// Thread   that of its exchange.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace troupe::net {

class arena {
 public:
  arena() = default;
  arena(const arena&) = delete;
  arena& operator=(const arena&) = delete;

  /// @param align  a power of two, at most 16.
  void* allocate(std::size_t size, std::size_t align) {
    const std::size_t at = (used_ + align - 1) & ~(align - 1);
    if (at + size <= capacity_ && block_ != nullptr) {
      used_ = at + size;
      return block_ + at;
    }
    return allocate_block(size);
  }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {"", 0};
    char* at = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }

  void reset() noexcept;
  /// Bytes that stay allocated over reset().
  [[nodiscard]] std::size_t kept() const noexcept;

 private:
  void* allocate_block(std::size_t size);

  char* block_ = nullptr;
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::unique_ptr<char[]> first_;
  std::vector<std::unique_ptr<char[]>> more_;
};

}  // namespace troupe::net
