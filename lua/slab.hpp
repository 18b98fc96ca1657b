// SPDX-License-Identifier: Apache-2.0
//
// Memory of a fixed size that pieces are taken from and given back to: what a shared dictionary
// keeps its entries in. Small pieces share a page with others of their size (a power of two from 32
// to 2048 bytes), larger ones take whole pages side by side; free neighbours become one again.
//
// Source   nginx's slab pool (src/core/ngx_slab.c): pages, sizes and overhead are the same, so that
//          a size that was chosen for nginx holds as many entries here.
// Thread   any, one at a time: the owner locks.
// Memory   reserved at construction, taken from the system page by page when first written to.
// Errors   none: who gets no piece gets null, a slab that the system refuses has no page.
// Called   by lua/shared_dict.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace troupe::lua {

class slab {
 public:
  static constexpr std::size_t page_bytes = 4096;

  explicit slab(std::size_t capacity) noexcept;
  ~slab();
  slab(const slab&) = delete;
  slab& operator=(const slab&) = delete;
  /// Exchanges all they hold; pieces stay where they are.
  void swap(slab& other) noexcept;

  /// @return null if no page, or not enough of them side by side, is free. Pieces of more than 64
  ///         bytes lie at multiples of 128.
  [[nodiscard]] void* take(std::size_t bytes) noexcept;
  void give_back(void* piece) noexcept;

  [[nodiscard]] std::size_t pages() const noexcept { return page_count_; }
  [[nodiscard]] std::size_t free_pages() const noexcept { return free_pages_; }
  /// Where the pages begin: pieces are told by their distance from it.
  [[nodiscard]] char* begin() const noexcept { return data_; }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr unsigned smallest_shift = 5;
  static constexpr unsigned largest_shift = 11;
  static constexpr unsigned bins = 64;

  enum class use : std::uint8_t { free, small, large };

  // What is known of a page. Of a run of pages the first and the last are kept right, which is all
  // that its neighbours look at.
  struct page {
    std::uint32_t next;  // In the list of its bin or size.
    std::uint32_t previous;
    std::uint32_t run;    // Pages of the run.
    std::uint16_t used;   // Pieces of a small page that are taken,
    std::uint16_t fresh;  // that were ever taken,
    std::uint16_t back;   // the last that was given back, plus one; each holds the one before.
    use kind;
    std::uint8_t shift;
  };

  [[nodiscard]] std::uint32_t take_run(std::uint32_t length, use kind) noexcept;
  void give_back_run(std::uint32_t first, std::uint32_t length) noexcept;
  void list_run(std::uint32_t first, std::uint32_t length) noexcept;
  void unlist_run(std::uint32_t first) noexcept;
  void link(std::uint32_t& head, std::uint32_t at) noexcept;
  void unlink(std::uint32_t& head, std::uint32_t at) noexcept;
  [[nodiscard]] char* address(std::uint32_t at) const noexcept { return data_ + at * page_bytes; }

  void* region_ = nullptr;
  std::size_t region_bytes_ = 0;
  page* pages_ = nullptr;  // In the region, before the pages themselves.
  char* data_ = nullptr;
  std::uint32_t page_count_ = 0;
  std::uint32_t free_pages_ = 0;
  std::array<std::uint32_t, largest_shift + 1> partial_;  // Small pages with room, by shift.
  std::array<std::uint32_t, bins> runs_;  // Free runs of 1 … 63 pages; the last: of 64 and more.
  std::uint64_t filled_bins_ = 0;
};

}  // namespace troupe::lua
