// SPDX-License-Identifier: Apache-2.0
#include "net/output_buffer.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace troupe::net {
namespace {
constexpr std::size_t smallest_block = 4096;
constexpr std::size_t largest_block = 65536;
}  // namespace

output_buffer::block& output_buffer::room_for(std::size_t size) {
  if (!blocks_.empty()) {
    block& last = blocks_.back();
    if (last.capacity - last.end >= size) return last;
  }
  std::size_t capacity = smallest_block;
  if (!blocks_.empty()) {
    capacity = std::clamp(blocks_.back().capacity * 2, smallest_block, largest_block);
  }
  capacity = std::max(capacity, size);
  blocks_.push_back({std::unique_ptr<char[]>(new char[capacity]), capacity, 0, 0});
  return blocks_.back();
}

void output_buffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  size_ += bytes.size();
  if (!blocks_.empty()) {  // Fill the last block first, so that small writes do not fragment.
    block& last = blocks_.back();
    const std::size_t part = std::min(last.capacity - last.end, bytes.size());
    std::memcpy(last.bytes.get() + last.end, bytes.data(), part);
    last.end += part;
    bytes.remove_prefix(part);
    if (bytes.empty()) return;
  }
  block& target = room_for(bytes.size());
  std::memcpy(target.bytes.get() + target.end, bytes.data(), bytes.size());
  target.end += bytes.size();
}

char* output_buffer::extend(std::size_t size) {
  block& target = room_for(size);
  char* at = target.bytes.get() + target.end;
  target.end += size;
  size_ += size;
  return at;
}

void output_buffer::shrink(std::size_t size) noexcept {
  blocks_.back().end -= size;
  size_ -= size;
}

std::size_t output_buffer::gather(std::span<iovec> vectors) const noexcept {
  std::size_t used = 0;
  for (std::size_t i = first_; i < blocks_.size() && used < vectors.size(); ++i) {
    const block& b = blocks_[i];
    if (b.begin == b.end) continue;
    vectors[used++] = {b.bytes.get() + b.begin, b.end - b.begin};
  }
  return used;
}

void output_buffer::consume(std::size_t count) noexcept {
  assert(count <= size_);
  size_ -= count;
  while (count > 0) {
    block& b = blocks_[first_];
    const std::size_t part = std::min(count, b.end - b.begin);
    b.begin += part;
    count -= part;
    if (b.begin == b.end) {
      if (first_ + 1 == blocks_.size()) break;
      b = block{};
      ++first_;
    }
  }
  if (size_ == 0) {
    clear();
  } else if (first_ >= 64 && first_ * 2 >= blocks_.size()) {
    // A response may be long and never be sent up to its end: the emptied entries must go.
    blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void output_buffer::take(output_buffer& other) {
  if (other.empty()) return;
  if (empty()) {
    std::swap(blocks_, other.blocks_);
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
    other.clear();
    return;
  }
  // Small pieces are copied so that writes gather few vectors; large ones change hands.
  const bool copy = other.size() <= smallest_block;
  for (std::size_t i = other.first_; i < other.blocks_.size(); ++i) {
    block& b = other.blocks_[i];
    if (b.begin == b.end) continue;
    if (copy) {
      append({b.bytes.get() + b.begin, b.end - b.begin});
    } else {
      size_ += b.end - b.begin;
      blocks_.push_back(std::move(b));
      b = block{};
    }
  }
  other.clear();
}

std::string_view output_buffer::flatten() {
  if (empty()) return {};
  std::size_t filled = 0;
  for (std::size_t i = first_; i < blocks_.size(); ++i)
    filled += blocks_[i].begin != blocks_[i].end;
  if (filled > 1) {
    block whole{std::unique_ptr<char[]>(new char[size_]), size_, 0, 0};
    for (std::size_t i = first_; i < blocks_.size(); ++i) {
      const block& b = blocks_[i];
      std::memcpy(whole.bytes.get() + whole.end, b.bytes.get() + b.begin, b.end - b.begin);
      whole.end += b.end - b.begin;
    }
    blocks_.clear();
    first_ = 0;
    blocks_.push_back(std::move(whole));
  }
  for (std::size_t i = first_; i < blocks_.size(); ++i) {
    const block& b = blocks_[i];
    if (b.begin != b.end) return {b.bytes.get() + b.begin, b.end - b.begin};
  }
  return {};
}

void output_buffer::clear() noexcept {
  size_ = 0;
  // Keep one block of the smallest size: the steady state of small responses.
  std::size_t kept = blocks_.size();
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i].capacity == smallest_block) {
      kept = i;
      break;
    }
  }
  if (kept < blocks_.size()) {
    if (kept != 0) blocks_[0] = std::move(blocks_[kept]);
    blocks_.resize(1);
    blocks_[0].begin = blocks_[0].end = 0;
  } else {
    blocks_.clear();
  }
  first_ = 0;
}

void output_buffer::release() noexcept {
  blocks_.clear();
  blocks_.shrink_to_fit();
  first_ = 0;
  size_ = 0;
}

}  // namespace troupe::net
