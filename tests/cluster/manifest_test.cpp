// SPDX-License-Identifier: Apache-2.0
#include "cluster/manifest.hpp"

#include <gtest/gtest.h>

namespace troupe::cluster {
namespace {

manifest_file file(std::string path, std::string_view content = "x", bool executable = false) {
  return {.path = std::move(path),
          .executable = executable,
          .size = content.size(),
          .content = digest::of(content)};
}

manifest sample() {
  manifest m{.files = {file("nginx.conf", "server {}"), file("lua/a.lua", "return 1"),
                       file("bin/run", "#!", true), file("html/\xff\xfe", "")},
             .needs = {"lua", "h2"}};
  m.sort();
  return m;
}

TEST(manifest, comes_back_as_it_went) {
  const manifest m = sample();
  const auto back = manifest::decode(m.encode());
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(*back, m);
  EXPECT_EQ(back->id(), digest::of(m.encode()));
  EXPECT_EQ(back->total_bytes(), 9u + 8u + 2u);
}

TEST(manifest, an_empty_one_is_one) {
  const auto back = manifest::decode(manifest{}.encode());
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, manifest{});
}

TEST(manifest, the_order_in_which_files_are_named_does_not_matter) {
  manifest m = sample();
  std::reverse(m.files.begin(), m.files.end());
  m.needs = {"h2", "lua", "h2"};
  m.sort();
  EXPECT_EQ(m.id(), sample().id());
}

TEST(manifest, each_thing_it_says_changes_its_digest) {
  const digest before = sample().id();
  manifest m = sample();
  m.files[0].executable = !m.files[0].executable;
  EXPECT_NE(m.id(), before);
  m = sample();
  m.files[1].content = digest::of("other");
  EXPECT_NE(m.id(), before);
  m = sample();
  m.needs.clear();
  EXPECT_NE(m.id(), before);
}

TEST(manifest, finds_files_by_path) {
  const manifest m = sample();
  ASSERT_NE(m.find("lua/a.lua"), nullptr);
  EXPECT_EQ(m.find("lua/a.lua")->content, digest::of("return 1"));
  EXPECT_EQ(m.find("lua"), nullptr);
  EXPECT_EQ(m.find(""), nullptr);
}

TEST(manifest, cut_at_any_byte_it_is_refused) {
  const std::string bytes = sample().encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = manifest::decode(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error().errc, refusal_errc::malformed);
  }
  EXPECT_FALSE(manifest::decode(bytes + '\0'));
}

TEST(manifest, a_flipped_bit_is_refused_or_another_manifest) {
  const std::string bytes = sample().encode();
  for (std::size_t at = 0; at < bytes.size() * 8; ++at) {
    std::string flipped = bytes;
    flipped[at / 8] = static_cast<char>(flipped[at / 8] ^ (1 << (at % 8)));
    if (const auto other = manifest::decode(flipped)) {
      EXPECT_NE(other->id(), sample().id()) << at;
    }
  }
}

TEST(manifest, another_encoding_of_the_same_is_refused) {
  // The version as a uint8 instead of a fixint.
  std::string bytes = manifest{}.encode();
  const auto at = bytes.find("\x01", 0, 1);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 1, "\xcc\x01", 2);
  const auto decoded = manifest::decode(bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().reason, "not a manifest: its bytes are not in the canonical form");
}

TEST(manifest, a_newer_form_says_so) {
  std::string bytes = manifest{}.encode();
  bytes[bytes.find('\x01')] = '\x02';
  const auto decoded = manifest::decode(bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().reason, "not a manifest: its form is version 2, this troupe knows 1");
}

TEST(manifest, arrays_that_claim_more_than_there_is_take_no_memory) {
  // map{v: 1, needs: [] , files: array of 2^32-1}
  std::string bytes = manifest{}.encode();
  bytes.pop_back();
  bytes += "\xdd\xff\xff\xff\xff";
  EXPECT_FALSE(manifest::decode(bytes));
  EXPECT_FALSE(manifest::decode(std::string(100'000, '\x91')));  // deep
}

TEST(manifest, paths_that_leave_the_folder_are_refused) {
  const std::string long_name(256, 'a');
  std::string long_path;
  while (long_path.size() <= manifest::max_path_bytes) long_path += "folder/";
  long_path += 'x';
  for (const std::string& path :
       {std::string(), std::string("/etc/passwd"), std::string("../x"), std::string("a/../b"),
        std::string("a/.."), std::string("."), std::string("./a"), std::string("a//b"),
        std::string("a/"), std::string("a\0b", 3), long_name, long_path}) {
    const auto bad = check_path(path);
    ASSERT_TRUE(bad) << path;
    EXPECT_EQ(bad->errc, refusal_errc::bad_path);
    EXPECT_FALSE(manifest::decode(manifest{.files = {file(path)}}.encode())) << path;
  }
  for (const char* path : {"a", "..a", "a..", "...", ".git", "a b", "lua/\xc3\xa4.lua"}) {
    EXPECT_FALSE(check_path(path)) << path;
  }
}

TEST(manifest, a_path_is_there_once_and_a_file_is_no_folder) {
  manifest twice{.files = {file("a"), file("a")}};
  EXPECT_FALSE(twice.check());
  manifest disorder{.files = {file("b"), file("a")}};
  EXPECT_FALSE(disorder.check());
  manifest both{.files = {file("a"), file("a-b"), file("a/b")}};
  const auto refused = both.check();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "not a manifest: \"a\" is a file and a folder");
  EXPECT_FALSE(manifest::decode(both.encode()));
}

TEST(manifest, comparing_names_what_was_added_modified_and_removed) {
  manifest from{.files = {file("a"), file("b"), file("c"), file("d")}};
  manifest to{.files = {file("b", "y"), file("c"), file("d", "x", true), file("e")}};
  const std::vector<changed_file> expected{{"a", file_change::removed},
                                           {"b", file_change::modified},
                                           {"d", file_change::modified},
                                           {"e", file_change::added}};
  EXPECT_EQ(compare(from, to), expected);
  EXPECT_TRUE(compare(to, to).empty());
  EXPECT_EQ(compare({}, to).size(), 4u);
}

}  // namespace
}  // namespace troupe::cluster
