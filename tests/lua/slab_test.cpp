// SPDX-License-Identifier: Apache-2.0
#include "lua/slab.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

namespace troupe::lua {
namespace {

TEST(slab, has_as_many_pages_as_one_of_nginx) {
  EXPECT_EQ(slab(8 * 1024).pages(), 1u);
  EXPECT_EQ(slab(16 * 1024).pages(), 3u);
  EXPECT_EQ(slab(20 * 1024).pages(), 4u);
  EXPECT_EQ(slab(25 * 1024).pages(), 5u);
  EXPECT_EQ(slab(30 * 1024).pages(), 6u);
  EXPECT_EQ(slab(100 * 1024).pages(), 24u);
}

TEST(slab, that_is_too_small_for_a_page_has_none) {
  slab none(4096);
  EXPECT_EQ(none.pages(), 0u);
  EXPECT_EQ(none.take(1), nullptr);
  EXPECT_EQ(slab(0).pages(), 0u);
}

TEST(slab, that_the_system_refuses_has_no_page) {
  slab refused(std::size_t{1} << 60);
  EXPECT_EQ(refused.pages(), 0u);
  EXPECT_EQ(refused.take(1), nullptr);
}

TEST(slab, shares_a_page_among_pieces_of_a_size) {
  slab some(20 * 1024);
  std::vector<void*> pieces;
  for (int i = 0; i < 32; ++i) pieces.push_back(some.take(100));
  EXPECT_EQ(some.free_pages(), 3u);
  pieces.push_back(some.take(65));
  EXPECT_EQ(some.free_pages(), 2u);
  for (void* piece : pieces) some.give_back(piece);
  EXPECT_EQ(some.free_pages(), 4u);
}

TEST(slab, holds_as_many_of_the_smallest_pieces_as_one_of_nginx) {
  slab some(20 * 1024);
  for (int i = 0; i < 127; ++i) ASSERT_NE(some.take(24), nullptr);
  EXPECT_EQ(some.free_pages(), 3u);
  ASSERT_NE(some.take(24), nullptr);
  EXPECT_EQ(some.free_pages(), 2u);
}

TEST(slab, gives_a_piece_that_came_back_again) {
  slab some(20 * 1024);
  void* first = some.take(100);
  void* second = some.take(100);
  some.give_back(first);
  EXPECT_EQ(some.take(100), first);
  some.give_back(second);
  EXPECT_EQ(some.take(128), second);
}

TEST(slab, joins_neighbours_that_are_free) {
  slab some(20 * 1024);  // Four pages.
  void* a = some.take(4096);
  void* b = some.take(4096);
  void* c = some.take(4096);
  void* d = some.take(4096);
  EXPECT_EQ(some.take(1), nullptr);
  some.give_back(a);
  some.give_back(c);
  EXPECT_EQ(some.free_pages(), 2u);
  EXPECT_EQ(some.take(8192), nullptr);
  some.give_back(b);
  EXPECT_EQ(some.take(3 * 4096), a);
  some.give_back(d);
  some.give_back(a);
  EXPECT_EQ(some.take(4 * 4096), a);
}

TEST(slab, finds_long_runs_among_long_runs) {
  slab some(4 * 1024 * 1024);
  void* a = some.take(70 * 4096);
  void* between = some.take(1);
  void* b = some.take(100 * 4096);
  void* after = some.take(4096);
  void* rest = some.take(some.free_pages() * 4096);
  ASSERT_NE(rest, nullptr);
  some.give_back(b);
  some.give_back(a);
  EXPECT_EQ(some.take(100 * 4096), b);
  EXPECT_EQ(some.take(71 * 4096), nullptr);
  EXPECT_EQ(some.take(64 * 4096), a);
  EXPECT_NE(between, after);
}

TEST(slab, keeps_pieces_apart_whatever_is_taken_and_given_back) {
  slab some(300 * 1024);
  std::mt19937 random(7);
  std::map<char*, std::size_t> held;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 3 != 0 || held.empty()) {
      const std::size_t bytes = random() % 8 == 0 ? random() % 20'000 : random() % 3000;
      auto* piece = static_cast<char*>(some.take(bytes));
      if (piece == nullptr) continue;
      const auto after = held.lower_bound(piece);
      if (after != held.end()) {
        ASSERT_LE(piece + bytes, after->first);
      }
      if (after != held.begin()) {
        const auto before = std::prev(after);
        ASSERT_LE(before->first + before->second, piece);
      }
      std::memset(piece, static_cast<int>(bytes), bytes);
      held[piece] = bytes;
    } else {
      auto at = std::next(held.begin(), static_cast<long>(random() % held.size()));
      for (std::size_t k = 0; k < at->second; ++k) {
        ASSERT_EQ(at->first[k], static_cast<char>(at->second));
      }
      some.give_back(at->first);
      held.erase(at);
    }
  }
  for (const auto& [piece, bytes] : held) some.give_back(piece);
  EXPECT_EQ(some.free_pages(), some.pages());
  EXPECT_NE(some.take(some.pages() * slab::page_bytes), nullptr);
}

}  // namespace
}  // namespace troupe::lua
