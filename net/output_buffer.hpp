// SPDX-License-Identifier: Apache-2.0
//
// Bytes on their way to a peer: appended by whoever makes the response, taken off the front by what
// the socket took. A list of blocks, so that a write gathers them and nothing is moved; the first
// block is kept for the next exchange.
//
// Thread   shard.
// Memory   blocks of 4 KiB, doubled up to 64 KiB while a response grows; all but one are freed by
//          clear(), so that a large response does not stay in memory.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::net {

class output_buffer {
 public:
  output_buffer() = default;
  output_buffer(const output_buffer&) = delete;
  output_buffer& operator=(const output_buffer&) = delete;
  output_buffer(output_buffer&& other) noexcept
      : blocks_(std::move(other.blocks_)),
        first_(std::exchange(other.first_, 0)),
        size_(std::exchange(other.size_, 0)) {
    other.blocks_.clear();
  }
  output_buffer& operator=(output_buffer&& other) noexcept {
    blocks_ = std::move(other.blocks_);
    other.blocks_.clear();
    first_ = std::exchange(other.first_, 0);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  void append(std::string_view bytes);
  void append(char byte) { append(std::string_view(&byte, 1)); }
  /// Room for exactly `size` contiguous bytes at the end, which the caller fills.
  char* extend(std::size_t size);
  /// Gives back the last `size` bytes that extend() gave.
  void shrink(std::size_t size) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// Fills `vectors` from the front; returns how many were used.
  std::size_t gather(std::span<iovec> vectors) const noexcept;
  /// Takes `count` bytes off the front; there are that many.
  void consume(std::size_t count) noexcept;
  /// Appends the whole content of `other` and empties it.
  void take(output_buffer& other);
  /// All bytes in one piece; moves them only when they lie in several blocks.
  std::string_view flatten();
  void clear() noexcept;
  /// Also frees the block that clear() keeps.
  void release() noexcept;
  /// Entries of the list of blocks, with emptied ones.
  [[nodiscard]] std::size_t block_count() const noexcept { return blocks_.size(); }

 private:
  struct block {
    std::unique_ptr<char[]> bytes;
    std::size_t capacity = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  block& room_for(std::size_t size);

  std::vector<block> blocks_;
  std::size_t first_ = 0;  ///< Index of the first block that still has bytes.
  std::size_t size_ = 0;
};

}  // namespace troupe::net
