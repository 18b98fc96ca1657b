// SPDX-License-Identifier: Apache-2.0
#include "lua/shared_dict.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace troupe::lua {
namespace {

using mode = shared_dict::mode;
using end = shared_dict::end;

std::atomic<std::int64_t> fake_ms{1000};
std::int64_t fake_now() {
  return fake_ms;
}

class dictionary : public testing::Test {
 protected:
  void SetUp() override { fake_ms = 1000; }
  static void pass(std::int64_t ms) { fake_ms += ms; }

  shared_dict::stored set(const std::string& key, const dict_value& value, std::int64_t life = 0) {
    return dict_.put(mode::set, key, value, life, 0);
  }
  // The value as text, or in brackets why there is none.
  std::string get(std::string_view key, bool with_expired = false) {
    return read(dict_, key, with_expired);
  }
  static std::string read(shared_dict& from, std::string_view key, bool with_expired = false) {
    std::string room(100'000, '\0');
    shared_dict::found found;
    const auto done = from.get(key, room, found, with_expired);
    return done ? show(found, room) : problem(done.error());
  }
  std::string pop(end where, std::string_view key) {
    std::string room(1000, '\0');
    shared_dict::found found;
    const auto done = dict_.pop(where, key, room, found);
    return done ? show(found, room) : problem(done.error());
  }
  std::string keys(std::size_t most = 0) const {
    const auto list = dict_.keys(most);
    std::string text;
    std::size_t at = 0;
    for (const std::uint16_t size : list.sizes) {
      text += (at == 0 ? "" : " ") + list.bytes.substr(at, size);
      at += size;
    }
    return text;
  }
  static std::string show(const shared_dict::found& found, const std::string& room) {
    std::string text;
    switch (found.what) {
      case shared_dict::kind::boolean:
        text = found.number != 0 ? "true" : "false";
        break;
      case shared_dict::kind::number:
        text = std::to_string(static_cast<long>(found.number));
        break;
      default:
        text = room.substr(0, found.text_bytes);
        break;
    }
    if (found.flags != 0) text += " flags " + std::to_string(found.flags);
    return found.is_stale ? text + " stale" : text;
  }
  static std::string problem(dict_errc error) {
    constexpr const char* names[] = {"",
                                     "[not found]",
                                     "[exists]",
                                     "[not a number]",
                                     "[no memory]",
                                     "[is a list]",
                                     "[not a list]",
                                     "[too small]"};
    return names[static_cast<int>(error)];
  }

  shared_dict dict_{"test", 100 * 1024, &fake_now};
};

constexpr dict_errc none{};

TEST_F(dictionary, keeps_values_with_their_types) {
  set("text", "words");
  set("number", 1.0);
  set("yes", true);
  set("no", false);
  set("empty", "");
  EXPECT_EQ(get("text"), "words");
  EXPECT_EQ(get("number"), "1");
  EXPECT_EQ(get("yes"), "true");
  EXPECT_EQ(get("no"), "false");
  EXPECT_EQ(get("empty"), "");
  EXPECT_EQ(get("absent"), "[not found]");
}

TEST_F(dictionary, takes_any_bytes_and_lengths_as_keys) {
  for (std::size_t size = 1; size < 60; ++size) set(std::string(size, '\0'), double(size));
  for (std::size_t size = 1; size < 60; ++size) {
    EXPECT_EQ(get(std::string(size, '\0')), std::to_string(size));
  }
  const std::string longest(shared_dict::longest_key, 'k');
  EXPECT_EQ(set(longest, "v").error, none);
  EXPECT_EQ(get(longest), "v");
  EXPECT_EQ(set(longest + "k", "v").error, dict_errc::no_memory);
}

TEST_F(dictionary, overwrites_a_value_of_the_same_and_of_another_size) {
  set("key", "abc");
  set("key", "xyz");
  EXPECT_EQ(get("key"), "xyz");
  set("key", "longer than before");
  EXPECT_EQ(get("key"), "longer than before");
  set("key", "12345678");
  set("key", 5.0);  // As long as the text.
  EXPECT_EQ(get("key"), "5");
  set("key", "12345678");
  EXPECT_EQ(get("key"), "12345678");
  EXPECT_EQ(keys(), "key");
}

TEST_F(dictionary, keeps_flags) {
  dict_.put(mode::set, "key", 7.0, 0, 199);
  EXPECT_EQ(get("key"), "7 flags 199");
  set("key", 8.0);
  EXPECT_EQ(get("key"), "8");
}

TEST_F(dictionary, tells_how_much_room_a_text_needs) {
  set("key", "twelve bytes");
  char room[4];
  shared_dict::found found;
  const auto done = dict_.get("key", room, found);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error(), dict_errc::too_small);
  EXPECT_EQ(found.text_bytes, 12u);
}

TEST_F(dictionary, adds_only_what_is_not_there_and_replaces_only_what_is) {
  EXPECT_EQ(dict_.put(mode::replace, "key", 1.0, 0, 0).error, dict_errc::not_found);
  EXPECT_EQ(dict_.put(mode::add, "key", 1.0, 10, 0).error, none);
  EXPECT_EQ(dict_.put(mode::add, "key", 2.0, 0, 0).error, dict_errc::exists);
  EXPECT_EQ(get("key"), "1");
  EXPECT_EQ(dict_.put(mode::replace, "key", "other", 10, 0).error, none);
  EXPECT_EQ(get("key"), "other");
  pass(10);
  EXPECT_EQ(dict_.put(mode::replace, "key", 3.0, 0, 0).error, dict_errc::not_found);
  EXPECT_EQ(dict_.put(mode::add, "key", 4.0, 0, 0).error, none);
  EXPECT_EQ(get("key"), "4");
}

TEST_F(dictionary, removes) {
  set("key", "value");
  dict_.remove("key");
  dict_.remove("key");
  EXPECT_EQ(get("key"), "[not found]");
  EXPECT_EQ(get("key", true), "[not found]");
}

TEST_F(dictionary, forgets_a_value_when_its_life_is_over) {
  set("key", 1.0, 100);
  EXPECT_EQ(dict_.time_left("key"), 100);
  pass(99);
  EXPECT_EQ(get("key"), "1");
  EXPECT_EQ(dict_.time_left("key"), 1);
  pass(1);
  EXPECT_EQ(dict_.time_left("key"), -1);
  pass(49);
  EXPECT_EQ(dict_.time_left("key"), -49);
  EXPECT_EQ(get("key"), "[not found]");
  EXPECT_FALSE(dict_.time_left("key"));
}

TEST_F(dictionary, brings_an_expired_entry_back_to_life) {
  set("key", 1.0, 100);
  pass(100);
  EXPECT_TRUE(dict_.expire("key", 50));
  EXPECT_EQ(get("key"), "1");
}

TEST_F(dictionary, changes_a_life) {
  set("key", 1.0);
  EXPECT_EQ(dict_.time_left("key"), 0);
  EXPECT_TRUE(dict_.expire("key", 50));
  EXPECT_EQ(dict_.time_left("key"), 50);
  EXPECT_TRUE(dict_.expire("key", 0));
  pass(1000);
  EXPECT_EQ(get("key"), "1");
  EXPECT_FALSE(dict_.expire("absent", 1));
}

TEST_F(dictionary, shows_an_expired_value_as_stale_as_long_as_it_is_there) {
  set("short", 1.0, 10);
  set("long", 2.0, 1000);
  pass(10);
  EXPECT_EQ(get("short", true), "1 stale");
  EXPECT_EQ(get("long", true), "2");
  dict_.increment("other", 1, nullptr, 0);  // Clears away the expired ones at the old end.
  EXPECT_EQ(get("short", true), "[not found]");
}

TEST_F(dictionary, clears_away_two_expired_entries_at_each_write) {
  for (const char* key : {"a", "b", "c", "d", "e"}) set(key, 1.0, 10);
  pass(10);
  set("new", 1.0);
  EXPECT_EQ(get("a", true) + get("b", true), "[not found][not found]");
  EXPECT_EQ(get("c", true), "1 stale");
  EXPECT_EQ(dict_.flush_expired(0), 3u);
}

TEST_F(dictionary, counts) {
  EXPECT_EQ(dict_.increment("n", 1, nullptr, 0).error, dict_errc::not_found);
  const double start = 10;
  EXPECT_EQ(dict_.increment("n", 1, &start, 100).value, 11);
  EXPECT_EQ(dict_.increment("n", 2.5, &start, 0).value, 13.5);
  EXPECT_EQ(dict_.time_left("n"), 100);
  pass(100);
  EXPECT_EQ(dict_.increment("n", 1, nullptr, 0).error, dict_errc::not_found);
  EXPECT_EQ(dict_.increment("n", 1, &start, 0).value, 11);
  EXPECT_EQ(dict_.time_left("n"), 0);
  set("text", "5");
  EXPECT_EQ(dict_.increment("text", 1, &start, 0).error, dict_errc::not_a_number);
}

TEST_F(dictionary, holds_as_many_entries_as_one_of_nginx) {
  const std::string value(62, 'v');
  int count = 0;
  while (!set("key_" + std::to_string(count + 100), value).forcible) ++count;
  EXPECT_EQ(count, 352);  // Of 256 bytes, in 22 pages.
}

TEST_F(dictionary, lets_what_was_not_used_longest_go_when_it_is_full) {
  const std::string value(500, 'v');
  int count = 0;
  while (dict_.free_space() > 0) set("key_" + std::to_string(count++), value);
  EXPECT_EQ(dict_.put(mode::set, "safe", std::string(2000, 'v'), 0, 0, false).error,
            dict_errc::no_memory);
  EXPECT_EQ(get("key_0"), value);  // Now the most recently used.
  while (!set("key_" + std::to_string(count++), value).forcible) {
  }
  EXPECT_EQ(get("key_0"), value);
  EXPECT_EQ(get("key_1"), "[not found]");
  EXPECT_EQ(get("key_2"), value);
}

TEST_F(dictionary, gives_thirty_entries_for_one_and_no_more) {
  const std::string small(1, 'v');
  for (int i = 0; i < 3000; ++i) set("key_" + std::to_string(i), small);
  const auto before = dict_.keys(0).sizes.size();
  const auto stored = set("large", std::string(16 * 4096, 'v'));
  EXPECT_EQ(stored.error, dict_errc::no_memory);
  EXPECT_TRUE(stored.forcible);
  EXPECT_EQ(dict_.keys(0).sizes.size(), before - 30);
}

TEST_F(dictionary, refuses_what_never_fits) {
  const auto stored = set("key", std::string(200'000, 'v'));
  EXPECT_EQ(stored.error, dict_errc::no_memory);
  EXPECT_FALSE(stored.forcible);
  shared_dict tiny("tiny", 1, &fake_now);
  EXPECT_EQ(tiny.put(mode::set, "key", 1.0, 0, 0).error, dict_errc::no_memory);
  EXPECT_EQ(read(tiny, "key"), "[not found]");
  EXPECT_EQ(tiny.free_space(), 0u);
}

TEST_F(dictionary, finds_neighbouring_pages_for_a_large_value) {
  shared_dict small("small", 20 * 1024, &fake_now);  // Two pages are left for large values.
  auto put = [&](const char* key, std::size_t bytes) {
    return small.put(mode::set, key, std::string(bytes, 'v'), 0, 0);
  };
  EXPECT_FALSE(put("foo", 4000).forcible);
  EXPECT_FALSE(put("bar", 4001).forcible);
  const auto stored = put("baz", 8102);
  EXPECT_EQ(stored.error, none);
  EXPECT_TRUE(stored.forcible);
  EXPECT_EQ(read(small, "foo") + read(small, "bar"), "[not found][not found]");
  EXPECT_EQ(read(small, "baz").size(), 8102u);
}

TEST_F(dictionary, tells_its_free_pages) {
  EXPECT_EQ(dict_.capacity(), 102'400u);
  EXPECT_EQ(dict_.free_space(), 22u * 4096);
  set("key", std::string(5000, 'v'));
  EXPECT_EQ(dict_.free_space(), 20u * 4096);
  shared_dict small("cats", 16 * 1024, &fake_now);
  EXPECT_EQ(small.free_space(), 4096u);
  for (int i = 0; i < 31; ++i) small.put(mode::set, "key" + std::to_string(i), "value", 0, 0);
  EXPECT_EQ(small.free_space(), 4096u);
  small.put(mode::set, "one more", "value", 0, 0);
  EXPECT_EQ(small.free_space(), 0u);
}

TEST_F(dictionary, flushes) {
  set("a", 1.0);
  set("b", 1.0, 5);
  set("c", 1.0);
  set("d", 1.0);
  set("e", 1.0);
  dict_.flush_all();
  EXPECT_EQ(get("e"), "[not found]");
  EXPECT_EQ(keys(), "");
  set("new", 1.0);
  EXPECT_EQ(get("new"), "1");
}

TEST_F(dictionary, frees_expired_entries_when_asked_to) {
  set("lives", 1.0);
  for (int i = 0; i < 5; ++i) set("key_" + std::to_string(i), 1.0, 10);
  EXPECT_EQ(dict_.flush_expired(0), 0u);
  pass(10);
  EXPECT_EQ(dict_.flush_expired(2), 2u);
  EXPECT_EQ(dict_.flush_expired(0), 3u);
  EXPECT_EQ(get("lives"), "1");
}

TEST_F(dictionary, lists_keys_from_the_least_recently_used_on) {
  for (const char* key : {"a", "b", "c", "d"}) set(key, 1.0);
  set("gone", 1.0, 1);
  pass(1);
  EXPECT_EQ(keys(), "a b c d");
  EXPECT_EQ(keys(2), "a b");
  get("a");
  EXPECT_EQ(keys(), "b c d a");
}

TEST_F(dictionary, has_lists_with_two_ends) {
  EXPECT_EQ(dict_.push(end::left, "list", "b"), 1u);
  EXPECT_EQ(dict_.push(end::left, "list", "a"), 2u);
  EXPECT_EQ(dict_.push(end::right, "list", 3.0), 3u);
  EXPECT_EQ(dict_.push(end::right, "list", "d"), 4u);
  EXPECT_EQ(dict_.length("list"), 4u);
  EXPECT_EQ(pop(end::left, "list"), "a");
  EXPECT_EQ(pop(end::right, "list"), "d");
  EXPECT_EQ(pop(end::right, "list"), "3");
  EXPECT_EQ(pop(end::left, "list"), "b");
  EXPECT_EQ(pop(end::left, "list"), "[not found]");
  EXPECT_EQ(dict_.length("list"), 0u);
  EXPECT_EQ(keys(), "");
}

TEST_F(dictionary, tells_lists_from_single_values) {
  dict_.push(end::left, "list", "a");
  set("text", "a");
  EXPECT_EQ(get("list"), "[is a list]");
  EXPECT_EQ(dict_.increment("list", 1, nullptr, 0).error, dict_errc::not_a_number);
  EXPECT_EQ(dict_.put(mode::add, "list", 1.0, 0, 0).error, dict_errc::exists);
  EXPECT_EQ(dict_.push(end::left, "text", "a").error(), dict_errc::not_a_list);
  EXPECT_EQ(pop(end::left, "text"), "[not a list]");
  EXPECT_EQ(dict_.length("text").error(), dict_errc::not_a_list);
  set("list", 1.0);
  EXPECT_EQ(get("list"), "1");
}

TEST_F(dictionary, keeps_an_element_for_which_the_room_is_too_small) {
  dict_.push(end::left, "list", "twelve bytes");
  shared_dict::found found;
  EXPECT_EQ(dict_.pop(end::left, "list", {}, found).error(), dict_errc::too_small);
  EXPECT_EQ(found.text_bytes, 12u);
  EXPECT_EQ(pop(end::left, "list"), "twelve bytes");
}

TEST_F(dictionary, begins_an_expired_list_anew) {
  dict_.push(end::left, "list", "old");
  EXPECT_TRUE(dict_.expire("list", 10));
  set("newer", 1.0);
  set("list2", 1.0, 10);
  get("list");
  pass(10);
  EXPECT_EQ(dict_.length("list"), 0u);
  EXPECT_EQ(dict_.push(end::left, "list", "new"), 1u);
  EXPECT_EQ(dict_.time_left("list"), 0);
  EXPECT_EQ(dict_.push(end::left, "list2", "new"), 1u);
}

TEST_F(dictionary, evicts_nothing_for_an_element) {
  std::size_t count = 0;
  const std::string value(1000, 'v');
  while (dict_.push(end::right, "list", value)) ++count;
  EXPECT_GT(count, 60u);
  EXPECT_EQ(dict_.length("list"), count);
  EXPECT_EQ(dict_.push(end::right, "other list", value).error(), dict_errc::no_memory);
  EXPECT_EQ(keys(), "list");
  EXPECT_TRUE(set("text", value).forcible);  // The whole list went for it.
  EXPECT_EQ(keys(), "text");
}

TEST_F(dictionary, finds_every_entry_as_its_index_grows) {
  shared_dict large("large", 32 << 20, &fake_now);
  constexpr int count = 100'000;
  for (int i = 0; i < count; ++i) {
    ASSERT_FALSE(large.put(mode::set, "key" + std::to_string(i), double(i), 0, 0).forcible);
  }
  for (int i = 0; i < count; ++i) {
    shared_dict::found found;
    ASSERT_TRUE(large.get("key" + std::to_string(i), {}, found));
    ASSERT_EQ(found.number, i);
  }
  for (int i = 0; i < count; ++i) large.remove("key" + std::to_string(i));
  EXPECT_EQ(large.free_space() / 4096 + 2, slab(32 << 20).pages());
}

TEST_F(dictionary, counts_what_many_threads_count_at_once) {
  constexpr int threads = 4, rounds = 20'000;
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([this, t] {
      const double zero = 0;
      const std::string own = "own" + std::to_string(t);
      for (int i = 0; i < rounds; ++i) {
        dict_.increment("all", 1, &zero, 0);
        dict_.put(mode::set, own, std::string(static_cast<std::size_t>(i % 300), 'x'), 0, 0);
        if (i % 100 == 0) (void)dict_.keys(10);
        if (i % 7 == 0) dict_.push(end::left, "list", 1.0);
        if (i % 7 == 1) pop(end::right, "list");
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(get("all"), std::to_string(threads * rounds));
}

TEST(dictionary_size, changes_and_what_was_used_last_stays) {
  shared_dict dict("d", 200'000, &fake_now);
  auto put = [&](const std::string& key, const dict_value& value, std::int64_t life = 0) {
    return dict.put(mode::set, key, value, life, 7).error == dict_errc{};
  };
  const std::string long_text(3000, 'x');
  ASSERT_TRUE(put("number", 1.5, 500));
  ASSERT_TRUE(put("flag", true));
  ASSERT_TRUE(put("gone", 1.0, 1));
  ASSERT_TRUE(dict.push(end::right, "list", "a"));
  ASSERT_TRUE(dict.push(end::right, "list", 2.0));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(put("t" + std::to_string(i), long_text + std::to_string(i)));
  for (const char* used : {"number", "flag"}) {
    char room[8];
    shared_dict::found found;
    ASSERT_TRUE(dict.get(used, room, found));
    EXPECT_EQ(found.flags, 7);
  }
  ASSERT_EQ(*dict.length("list"), 2u);
  fake_ms += 100;
  EXPECT_EQ(dict.resize(400'000), 0u);
  EXPECT_EQ(dict.capacity(), 400'000u);
  EXPECT_EQ(dict.keys(0).sizes.size(), 43u);
  EXPECT_EQ(*dict.time_left("number"), 400);
  EXPECT_EQ(*dict.length("list"), 2u);
  const std::size_t dropped = dict.resize(50'000);
  EXPECT_GT(dropped, 25u);
  EXPECT_EQ(dict.keys(0).sizes.size(), 43 - dropped);
  // The order of use is what it was: the newest texts, and what was read after them.
  std::string room(5000, ' ');
  shared_dict::found found;
  EXPECT_TRUE(dict.get("number", room, found));
  EXPECT_EQ(found.number, 1.5);
  EXPECT_TRUE(dict.get("flag", room, found));
  EXPECT_FALSE(dict.get("t0", room, found));
  ASSERT_TRUE(dict.get("t39", room, found));
  EXPECT_EQ(room.substr(0, found.text_bytes), long_text + "39");
  ASSERT_TRUE(dict.pop(end::left, "list", room, found));
  EXPECT_EQ(room.substr(0, found.text_bytes), "a");
  ASSERT_TRUE(dict.pop(end::left, "list", room, found));
  EXPECT_EQ(found.number, 2);
  // All of it can be given back and taken anew.
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(put("u" + std::to_string(i), long_text));
}

}  // namespace
}  // namespace troupe::lua
