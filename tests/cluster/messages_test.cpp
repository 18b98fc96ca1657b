// SPDX-License-Identifier: Apache-2.0
#include "cluster/messages.hpp"

#include "cluster/wire.hpp"
#include "tests/cluster/samples.hpp"

#include <gtest/gtest.h>

#include <set>

namespace troupe::cluster {
namespace {

TEST(messages, there_is_a_sample_of_each_type) {
  std::set<std::string_view> names;
  for (const message& one : sample_messages()) names.insert(name_of(one));
  EXPECT_EQ(names.size(), std::variant_size_v<message>);
}

TEST(messages, each_comes_back_as_it_went) {
  for (const message& one : sample_messages()) {
    const auto back = decode_message(encode(one));
    ASSERT_TRUE(back) << back.error().reason;
    EXPECT_EQ(*back, one) << name_of(one);
  }
}

// A change of these bytes parts nodes of two versions: it takes a new protocol version.
TEST(messages, each_has_the_bytes_of_its_golden_file) {
  for (const message& one : sample_messages()) {
    const std::string now = encode(one);
    const std::string then = golden("message." + std::string(name_of(one)), now);
    EXPECT_EQ(now, then) << name_of(one);
    const auto back = decode_message(then);
    ASSERT_TRUE(back) << back.error().reason;
    EXPECT_EQ(*back, one) << name_of(one);
  }
}

TEST(messages, an_empty_one_of_each_type_comes_back_too) {
  EXPECT_EQ(decode_message(encode(message(beat()))), message(beat()));
  EXPECT_EQ(decode_message(encode(message(changes()))), message(changes()));
  EXPECT_EQ(decode_message(encode(message(query_answer()))), message(query_answer()));
  EXPECT_EQ(decode_message(encode(message(progress()))), message(progress()));
}

// The message with another version, and more fields behind its own.
std::string of_version(const message& what, unsigned version, unsigned more) {
  const std::string now = encode(what);
  EXPECT_LT(static_cast<unsigned char>(now[0]), 0x9c);  // a short array
  EXPECT_EQ(now.substr(1, 3), std::string("\xcd\x01\x00", 3));
  wire_writer wire;
  wire.array((static_cast<unsigned char>(now[0]) & 15u) + more);
  wire.number("version", version);
  std::string result = wire.result() + now.substr(4);
  wire_writer extra;
  for (unsigned i = 0; i < more; ++i) {
    // All forms there are, one within another.
    extra.record("extra", 6, [&] {
      extra.real("real", 1.5);
      extra.text("text", "from the future");
      extra.bytes("bytes", std::string(300, 'x'));
      extra.flag("flag", true);
      extra.map("map", std::map<std::string, int>{{"a", 1}, {"b", 2}}, 2, 8,
                [&](int value) { extra.number("value", static_cast<std::uint64_t>(value)); });
      extra.record("deeper", 2, [&] {
        extra.number("number", UINT64_MAX);
        extra.number("number", 5);
      });
    });
  }
  return result + extra.result();
}

TEST(messages, fields_of_a_newer_minor_version_are_skipped) {
  for (const message& one : sample_messages()) {
    const auto back = decode_message(of_version(one, 0x0107, 3));
    ASSERT_TRUE(back) << back.error().reason;
    EXPECT_EQ(*back, one) << name_of(one);
  }
}

TEST(messages, fields_of_a_newer_minor_version_in_a_record_are_skipped) {
  const message one = fetch_changes{2, sample_change().after()};
  std::string bytes = of_version(one, 0x0101, 0);
  // The position is the last: one field more in it.
  const auto at = bytes.rfind('\x93');
  ASSERT_NE(at, std::string::npos);
  bytes[at] = '\x94';
  bytes += '\x2a';
  const auto back = decode_message(bytes);
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(*back, one);
}

TEST(messages, more_fields_in_a_version_that_is_known_are_refused) {
  const auto back = decode_message(of_version(welcome{}, 0x0100, 1));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::malformed);
  EXPECT_EQ(back.error().reason, "not a message: \"welcome\": its number of fields is wrong");
}

TEST(messages, another_major_version_is_refused_by_name) {
  const auto back = decode_message(of_version(welcome{}, 0x0203, 1));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::unsupported);
  EXPECT_EQ(back.error().reason,
            "a message \"welcome\" of protocol 2.3, which this troupe (1.0) does not know");
}

TEST(messages, an_unknown_type_is_refused_by_name) {
  wire_writer wire;
  wire.record("message", 3, [&] {
    wire.number("version", 0x0101);
    wire.text("type", "sing\n");
    wire.text("song", "la");
  });
  const auto back = decode_message(wire.result());
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::unsupported);
  EXPECT_EQ(back.error().reason,
            "a message \"sing?\" of protocol 1.1, which this troupe (1.0) does not know");
}

TEST(messages, cut_at_any_byte_each_is_refused) {
  for (const message& one : sample_messages()) {
    const std::string bytes = encode(one);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto cut = decode_message(std::string_view(bytes).substr(0, size));
      ASSERT_FALSE(cut) << name_of(one) << ' ' << size;
      ASSERT_EQ(cut.error().errc, refusal_errc::malformed) << cut.error().reason;
    }
    EXPECT_FALSE(decode_message(bytes + '\0')) << name_of(one);
  }
}

TEST(messages, with_any_bit_flipped_nothing_breaks) {
  for (const message& one : sample_messages()) {
    std::string bytes = encode(one);
    for (std::size_t at = 0; at < bytes.size() * 8; ++at) {
      const auto flip = [&] { bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ (1 << (at % 8))); };
      flip();
      if (const auto other = decode_message(bytes)) {
        // What is taken can be said again.
        EXPECT_EQ(decode_message(encode(*other)), *other);
      } else {
        EXPECT_FALSE(other.error().reason.empty());
      }
      flip();
    }
  }
}

TEST(messages, a_list_that_claims_more_than_there_is_is_refused) {
  // beat: [version, "beat", array of 2^32-1]
  std::string bytes = encode(message(beat()));
  ASSERT_EQ(bytes.back(), '\x90');
  bytes.pop_back();
  const auto back = decode_message(bytes + "\xdd\xff\xff\xff\xff");
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().reason, "not a message: \"beat\": its nodes is wrong");
  // As many items as bytes, none of which is one: the first ends it.
  EXPECT_FALSE(
      decode_message(bytes + std::string("\xdd\x00\x00\xff\xff", 5) + std::string(65'535, '\x90')));
}

TEST(messages, a_length_that_claims_more_than_there_is_is_refused) {
  std::string bytes = encode(message(topic_message{"t", "f", ""}));
  ASSERT_EQ(bytes.substr(bytes.size() - 2), std::string("\xc4\x00", 2));
  bytes.resize(bytes.size() - 2);
  EXPECT_FALSE(decode_message(bytes + "\xc6\xff\xff\xff\xff"));
  EXPECT_FALSE(decode_message(bytes + std::string("\xc6\x00\x00\x80\x01", 5) +
                              std::string(topic_message::max_payload_bytes + 1, 'x')));
  EXPECT_TRUE(decode_message(bytes + std::string("\xc6\x00\x00\x80\x00", 5) +
                             std::string(topic_message::max_payload_bytes, 'x')));
}

TEST(messages, what_a_newer_version_adds_may_not_be_deep) {
  const auto nested = [](std::size_t levels) {
    std::string bytes = of_version(welcome{}, 0x0101, 0);
    bytes[0] = static_cast<char>(bytes[0] + 1);
    return bytes + std::string(levels, '\x91') + '\x01';
  };
  EXPECT_TRUE(decode_message(nested(wire_reader::max_skip_depth - 1)));
  EXPECT_FALSE(decode_message(nested(wire_reader::max_skip_depth)));
  EXPECT_FALSE(decode_message(nested(900'000)));
}

TEST(messages, one_that_is_too_long_is_refused_unread) {
  const auto back = decode_message(std::string(max_message_bytes + 1, '\x90'));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().errc, refusal_errc::too_large);
}

TEST(messages, a_topic_ends_where_its_frame_says) {
  const auto refused = decode_message(encode(publish{{std::string("a\0b", 3), "n", "text"}}));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().reason.find("topic"), std::string::npos) << refused.error().reason;
}

TEST(messages, numbers_that_are_none_are_refused) {
  message one = hello{1, {}};
  std::get<hello>(one).who.requests_per_second = 1;
  std::string bytes = encode(one);
  const auto at = bytes.find('\xcb');
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at + 1, 8, std::string("\x7f\xf8\0\0\0\0\0\0", 8));  // NaN
  EXPECT_FALSE(decode_message(bytes));
}

TEST(messages, a_change_in_a_message_is_whole_or_the_message_is_refused) {
  change damaged = sample_change();
  damaged.ordered.signature = std::string(65, 's');
  EXPECT_FALSE(decode_message(encode(message(repeat{damaged}))));
}

TEST(beacon, what_is_signed_says_all_but_the_signature) {
  const beacon one{sample_change().after(), sample_time(), "a", {}};
  const auto differs = [&](auto change_it) {
    beacon other = one;
    change_it(other);
    return other.signed_bytes() != one.signed_bytes();
  };
  EXPECT_TRUE(differs([](beacon& b) { b.at.epoch += 1; }));
  EXPECT_TRUE(differs([](beacon& b) { b.at.seq += 1; }));
  EXPECT_TRUE(differs([](beacon& b) { b.at.state = digest::of("x"); }));
  EXPECT_TRUE(differs([](beacon& b) { b.time += std::chrono::milliseconds(1); }));
  EXPECT_TRUE(differs([](beacon& b) { b.controller = "b"; }));
  EXPECT_FALSE(differs([](beacon& b) { b.signature = "s"; }));
}

}  // namespace
}  // namespace troupe::cluster
