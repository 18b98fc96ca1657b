// SPDX-License-Identifier: Apache-2.0
#include "net/output_buffer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <string>

namespace troupe::net {
namespace {

// What a socket would be given, without taking it off.
std::string content(const output_buffer& buffer) {
  std::array<iovec, 1024> pieces;
  const std::size_t count = buffer.gather(pieces);
  std::string all;
  for (std::size_t i = 0; i < count; ++i) {
    all.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  return all;
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + seed);
  return text;
}

TEST(output_buffer, gives_out_what_was_appended_in_order) {
  output_buffer out;
  out.append("GET ");
  out.append('/');
  out.append(std::string_view{});
  std::memcpy(out.extend(3), " x\n", 3);
  EXPECT_EQ(out.size(), 8U);
  EXPECT_EQ(content(out), "GET / x\n");
}

TEST(output_buffer, small_appends_lie_in_few_pieces) {
  output_buffer out;
  for (int i = 0; i < 20'000; ++i) out.append("0123456789");
  std::array<iovec, 64> pieces;
  EXPECT_LE(out.gather(pieces), 8U);
  EXPECT_EQ(content(out).size(), 200'000U);
}

TEST(output_buffer, gathers_no_more_pieces_than_there_is_room_for) {
  output_buffer out;
  for (int i = 0; i < 10; ++i) out.append(pattern(70'000, 1));
  std::array<iovec, 3> pieces;
  ASSERT_EQ(out.gather(pieces), 3U);
  EXPECT_EQ(out.gather(std::span<iovec>{}), 0U);
}

TEST(output_buffer, consuming_all_leaves_it_empty_and_usable) {
  output_buffer out;
  out.append("abc");
  out.consume(3);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(content(out), "");
  out.append("def");
  EXPECT_EQ(content(out), "def");
  out.consume(0);
  EXPECT_EQ(content(out), "def");
}

TEST(output_buffer, flatten_gives_all_bytes_in_one_piece) {
  output_buffer out;
  EXPECT_EQ(out.flatten(), "");
  out.append("ab");
  EXPECT_EQ(out.flatten(), "ab");
  const std::string large = pattern(100'000, 3);
  out.append(large);
  out.consume(1);
  EXPECT_EQ(out.flatten(), "b" + large);
  EXPECT_EQ(out.size(), 100'001U);
  out.append("!");
  EXPECT_EQ(content(out), "b" + large + "!");
}

TEST(output_buffer, appending_after_a_small_flatten_does_not_fragment) {
  output_buffer out;
  out.append(pattern(4096, 0));
  out.append(pattern(8, 0));
  out.consume(4095);
  EXPECT_EQ(out.flatten().size(), 9U);
  for (int i = 0; i < 4000; ++i) out.append('x');
  std::array<iovec, 64> pieces;
  EXPECT_LE(out.gather(pieces), 2U);
}

TEST(output_buffer, take_moves_everything_behind_what_is_there) {
  for (const std::size_t before : {0, 5, 5000}) {
    for (const std::size_t size : {0, 7, 4096, 4097, 300'000}) {
      output_buffer a;
      output_buffer b;
      a.append(pattern(before, 1));
      b.append("-");
      b.append(pattern(size, 2));
      b.consume(1);
      a.take(b);
      EXPECT_TRUE(b.empty());
      EXPECT_EQ(content(b), "");
      EXPECT_EQ(a.size(), before + size);
      a.append("!");
      b.append("?");
      EXPECT_EQ(content(a), pattern(before, 1) + pattern(size, 2) + "!");
      EXPECT_EQ(content(b), "?");
    }
  }
}

TEST(output_buffer, a_moved_buffer_leaves_an_empty_one) {
  output_buffer a;
  a.append("abc");
  output_buffer b(std::move(a));
  EXPECT_EQ(content(b), "abc");
  EXPECT_EQ(a.size(), 0U);  // NOLINT(bugprone-use-after-move): that is what is tested.
  EXPECT_EQ(content(a), "");
  a.append("d");
  EXPECT_EQ(content(a), "d");
  b = std::move(a);
  EXPECT_EQ(content(b), "d");
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move)
}

TEST(output_buffer, clear_and_release_empty_it) {
  output_buffer out;
  for (const std::size_t size : {1, 4096, 4097, 1'000'000}) {
    out.append(pattern(size, 1));
    out.clear();
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(content(out), "");
    out.append("x");
    EXPECT_EQ(content(out), "x");
    out.release();
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(content(out), "");
  }
}

TEST(output_buffer, a_stream_that_is_never_sent_up_to_its_end_keeps_no_entries) {
  output_buffer out;
  const std::string piece = pattern(65'536, 9);
  out.append(piece);
  for (int i = 0; i < 2000; ++i) {
    out.append(piece);
    out.consume(piece.size());
  }
  EXPECT_EQ(content(out), piece);
  EXPECT_LE(out.block_count(), 200U);
}

TEST(output_buffer, random_operations_agree_with_a_string) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    output_buffer a;
    output_buffer b;
    std::string expected_a;
    std::string expected_b;
    for (int step = 0; step < 400; ++step) {
      const std::size_t size = random() % (random() % 8 == 0 ? 90'000 : 300);
      switch (random() % 8) {
        case 0:
        case 1: {
          const std::string text = pattern(size, random());
          a.append(text);
          expected_a += text;
          break;
        }
        case 2: {
          const std::string text = pattern(size, random());
          b.append(text);
          expected_b += text;
          break;
        }
        case 3: {
          const std::string text = pattern(size, random());
          char* at = a.extend(size);
          if (size > 0) std::memcpy(at, text.data(), size);
          expected_a += text;
          break;
        }
        case 4: {
          const std::size_t count = random() % (expected_a.size() + 1);
          a.consume(count);
          expected_a.erase(0, count);
          break;
        }
        case 5:
          a.take(b);
          expected_a += expected_b;
          expected_b.clear();
          break;
        case 6:
          if (random() % 8 == 0) {
            a.clear();
            expected_a.clear();
          } else {
            std::swap(a, b);
            std::swap(expected_a, expected_b);
          }
          break;
        default:
          ASSERT_EQ(a.flatten(), expected_a) << seed << " " << step;
          break;
      }
      ASSERT_EQ(a.size(), expected_a.size()) << seed << " " << step;
      ASSERT_EQ(content(a), expected_a) << seed << " " << step;
      ASSERT_EQ(content(b), expected_b) << seed << " " << step;
    }
  }
}

}  // namespace
}  // namespace troupe::net
