// SPDX-License-Identifier: Apache-2.0
#include "net/arena.hpp"

namespace troupe::net {
namespace {
constexpr std::size_t block_size = 4096;
constexpr std::size_t large = block_size / 2;
}  // namespace

void* arena::allocate_block(std::size_t size) {
  if (size > large && block_ != nullptr) {
    // A block of its own; the current one goes on being filled.
    blocks_.emplace_back(new char[size]);
    return blocks_.back().get();
  }
  const std::size_t capacity = size > block_size ? size : block_size;
  blocks_.emplace_back(new char[capacity]);
  block_ = blocks_.back().get();
  capacity_ = capacity;
  used_ = size;
  return block_;
}

void arena::reset() noexcept {
  if (blocks_.size() > 1 || capacity_ > block_size) {
    if (!blocks_.empty() && blocks_.size() > 1) blocks_.resize(1);
    if (capacity_ != block_size) {  // The first block was an oversized one.
      blocks_.clear();
      block_ = nullptr;
      capacity_ = 0;
    } else {
      block_ = blocks_[0].get();
    }
  }
  used_ = 0;
}

}  // namespace troupe::net
