// SPDX-License-Identifier: Apache-2.0
#include "lua/slab.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

namespace troupe::lua {
namespace {

// nginx: the pool's own record with its lists and counters, and a record for each page.
constexpr std::size_t head_bytes = 704;
constexpr std::size_t page_record_bytes = 24;

constexpr std::size_t whole_pages(std::size_t bytes) noexcept {
  return (bytes + slab::page_bytes - 1) / slab::page_bytes;
}

// nginx keeps a page's map of pieces of 32 bytes in the place of the first of them.
constexpr unsigned pieces_of(unsigned shift) noexcept {
  return (slab::page_bytes >> shift) - (shift == 5 ? 1 : 0);
}

}  // namespace

slab::slab(std::size_t capacity) noexcept {
  static_assert(sizeof(page) <= page_record_bytes);
  partial_.fill(none);
  runs_.fill(none);
  if (capacity <= head_bytes) return;
  std::size_t count = (capacity - head_bytes) / (page_bytes + page_record_bytes);
  const std::size_t before = whole_pages(head_bytes + count * page_record_bytes);
  count = std::min({count, capacity / page_bytes - std::min(before, capacity / page_bytes),
                    std::size_t{none - 1}});
  if (count == 0) return;
  void* region = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) return;
  region_ = region;
  region_bytes_ = capacity;
  pages_ = static_cast<page*>(region);
  data_ = static_cast<char*>(region) + before * page_bytes;
  page_count_ = static_cast<std::uint32_t>(count);
  free_pages_ = page_count_;
  list_run(0, page_count_);
}

slab::~slab() {
  if (region_ != nullptr) ::munmap(region_, region_bytes_);
}

void slab::swap(slab& other) noexcept {
  std::swap(region_, other.region_);
  std::swap(region_bytes_, other.region_bytes_);
  std::swap(pages_, other.pages_);
  std::swap(data_, other.data_);
  std::swap(page_count_, other.page_count_);
  std::swap(free_pages_, other.free_pages_);
  std::swap(partial_, other.partial_);
  std::swap(runs_, other.runs_);
  std::swap(filled_bins_, other.filled_bins_);
}

void* slab::take(std::size_t bytes) noexcept {
  if (bytes > std::size_t{1} << largest_shift) {
    const std::size_t length = whole_pages(bytes);
    if (length > free_pages_) return nullptr;
    const std::uint32_t first = take_run(static_cast<std::uint32_t>(length), use::large);
    return first == none ? nullptr : address(first);
  }
  const auto shift = std::max(
      smallest_shift, static_cast<unsigned>(std::bit_width(std::max<std::size_t>(bytes, 1) - 1)));
  std::uint32_t& head = partial_[shift];
  if (head == none) {
    const std::uint32_t fresh = take_run(1, use::small);
    if (fresh == none) return nullptr;
    page& p = pages_[fresh];
    p.used = p.fresh = p.back = 0;
    p.shift = static_cast<std::uint8_t>(shift);
    link(head, fresh);
  }
  const std::uint32_t at = head;
  page& p = pages_[at];
  std::uint16_t piece = 0;
  if (p.back != 0) {
    piece = static_cast<std::uint16_t>(p.back - 1);
    std::memcpy(&p.back, address(at) + (std::size_t{piece} << shift), sizeof p.back);
  } else {
    piece = p.fresh++;
  }
  if (++p.used == pieces_of(shift)) unlink(head, at);
  return address(at) + (std::size_t{piece} << shift);
}

void slab::give_back(void* piece) noexcept {
  const auto distance = static_cast<std::size_t>(static_cast<char*>(piece) - data_);
  const auto at = static_cast<std::uint32_t>(distance / page_bytes);
  assert(at < page_count_);
  page& p = pages_[at];
  if (p.kind == use::large) {
    give_back_run(at, p.run);
    return;
  }
  assert(p.kind == use::small && p.used > 0);
  std::uint32_t& head = partial_[p.shift];
  if (p.used == pieces_of(p.shift)) link(head, at);
  if (--p.used == 0) {
    unlink(head, at);
    give_back_run(at, 1);
    return;
  }
  std::memcpy(piece, &p.back, sizeof p.back);
  p.back = static_cast<std::uint16_t>(((distance % page_bytes) >> p.shift) + 1);
}

std::uint32_t slab::take_run(std::uint32_t length, use kind) noexcept {
  std::uint32_t first = none;
  if (length < bins) {
    const std::uint64_t fitting = filled_bins_ >> (length - 1);
    if (fitting == 0) return none;
    first = runs_[length - 1 + static_cast<unsigned>(std::countr_zero(fitting))];
  } else {
    first = runs_[bins - 1];
    while (first != none && pages_[first].run < length) first = pages_[first].next;
    if (first == none) return none;
  }
  const std::uint32_t found = pages_[first].run;
  unlist_run(first);
  if (found > length) list_run(first + length, found - length);
  pages_[first].kind = pages_[first + length - 1].kind = kind;
  pages_[first].run = length;
  free_pages_ -= length;
  return first;
}

void slab::give_back_run(std::uint32_t first, std::uint32_t length) noexcept {
  free_pages_ += length;
  if (const std::uint32_t after = first + length;
      after < page_count_ && pages_[after].kind == use::free) {
    length += pages_[after].run;
    unlist_run(after);
  }
  if (first > 0 && pages_[first - 1].kind == use::free) {
    const std::uint32_t before = first - pages_[first - 1].run;
    length += first - before;
    first = before;
    unlist_run(before);
  }
  list_run(first, length);
}

void slab::list_run(std::uint32_t first, std::uint32_t length) noexcept {
  page& last = pages_[first + length - 1];
  pages_[first].kind = last.kind = use::free;
  pages_[first].run = last.run = length;
  const unsigned bin = std::min(length, bins) - 1;
  link(runs_[bin], first);
  filled_bins_ |= std::uint64_t{1} << bin;
}

void slab::unlist_run(std::uint32_t first) noexcept {
  const unsigned bin = std::min(pages_[first].run, bins) - 1;
  unlink(runs_[bin], first);
  if (runs_[bin] == none) filled_bins_ &= ~(std::uint64_t{1} << bin);
}

void slab::link(std::uint32_t& head, std::uint32_t at) noexcept {
  pages_[at].previous = none;
  pages_[at].next = head;
  if (head != none) pages_[head].previous = at;
  head = at;
}

void slab::unlink(std::uint32_t& head, std::uint32_t at) noexcept {
  const page& p = pages_[at];
  if (p.previous != none) {
    pages_[p.previous].next = p.next;
  } else {
    head = p.next;
  }
  if (p.next != none) pages_[p.next].previous = p.previous;
}

}  // namespace troupe::lua
