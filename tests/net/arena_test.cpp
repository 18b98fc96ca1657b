// SPDX-License-Identifier: Apache-2.0
#include "net/arena.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace troupe::net {
namespace {

TEST(arena, copies_stay_while_others_are_made) {
  arena memory;
  std::mt19937 random(1);
  std::vector<std::pair<std::string, std::string_view>> copies;
  for (int i = 0; i < 2000; ++i) {
    const std::string text(random() % 20 == 0 ? random() % 20'000 : random() % 100,
                           static_cast<char>('a' + i % 26));
    copies.emplace_back(text, memory.copy(text));
  }
  for (const auto& [text, copy] : copies) ASSERT_EQ(copy, text);
}

TEST(arena, an_empty_copy_is_a_string_that_can_be_used) {
  arena memory;
  const std::string_view copy = memory.copy({});
  EXPECT_TRUE(copy.empty());
  EXPECT_NE(copy.data(), nullptr);
}

TEST(arena, an_allocation_of_no_bytes_is_not_null) {
  arena memory;
  EXPECT_NE(memory.allocate(0, 1), nullptr);
}

TEST(arena, allocations_are_aligned_as_asked) {
  arena memory;
  for (int i = 0; i < 200; ++i) {
    memory.allocate(1, 1);
    for (const std::size_t align : {2, 4, 8, 16}) {
      const auto at = reinterpret_cast<std::uintptr_t>(memory.allocate(24, align));
      ASSERT_EQ(at % align, 0U);
      memory.allocate(3, 1);
    }
  }
}

TEST(arena, allocations_do_not_overlap_at_the_ends_of_blocks) {
  for (const std::size_t size : {2047, 2048, 2049, 4095, 4096, 4097, 9000}) {
    arena memory;
    std::vector<char*> all;
    for (int i = 0; i < 9; ++i) {
      all.push_back(static_cast<char*>(memory.allocate(size, 8)));
      std::memset(all.back(), i, size);
      all.push_back(static_cast<char*>(memory.allocate(1, 1)));
      *all.back() = 100;
    }
    for (int i = 0; i < 9; ++i) {
      ASSERT_EQ(all[static_cast<std::size_t>(2 * i)][0], i);
      ASSERT_EQ(all[static_cast<std::size_t>(2 * i)][size - 1], i);
      ASSERT_EQ(*all[static_cast<std::size_t>(2 * i + 1)], 100);
    }
  }
}

TEST(arena, reset_gives_the_same_memory_again) {
  arena memory;
  void* const first = memory.allocate(100, 8);
  for (int i = 0; i < 100; ++i) memory.allocate(1000, 8);
  memory.allocate(100'000, 8);
  memory.reset();
  EXPECT_EQ(memory.allocate(100, 8), first);
}

TEST(arena, reset_keeps_no_large_block) {
  arena memory;
  memory.allocate(1 << 20, 8);
  memory.allocate(10, 8);
  memory.reset();
  EXPECT_LE(memory.kept(), 4096U);
  for (int i = 0; i < 10; ++i) memory.allocate(4000, 8);
  memory.reset();
  EXPECT_LE(memory.kept(), 4096U);
  memory.reset();
  EXPECT_LE(memory.kept(), 4096U);
}

TEST(arena, an_arena_that_was_never_used_holds_nothing) {
  arena memory;
  memory.reset();
  EXPECT_EQ(memory.kept(), 0U);
}

}  // namespace
}  // namespace troupe::net
