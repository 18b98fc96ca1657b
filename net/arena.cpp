// SPDX-License-Identifier: Apache-2.0
#include "net/arena.hpp"

namespace troupe::net {
namespace {
constexpr std::size_t block_size = 4096;
constexpr std::size_t large = block_size / 2;
}  // namespace

void* arena::allocate_block(std::size_t size) {
  if (size > large) {
    // A block of its own; the current one goes on being filled.
    more_.emplace_back(new char[size]);
    return more_.back().get();
  }
  if (!first_) {
    first_.reset(new char[block_size]);
    block_ = first_.get();
  } else {
    more_.emplace_back(new char[block_size]);
    block_ = more_.back().get();
  }
  capacity_ = block_size;
  used_ = size;
  return block_;
}

void arena::reset() noexcept {
  more_.clear();
  block_ = first_.get();
  capacity_ = first_ ? block_size : 0;
  used_ = 0;
}

std::size_t arena::kept() const noexcept {
  return first_ ? block_size : 0;
}

}  // namespace troupe::net
