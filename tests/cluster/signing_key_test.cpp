// SPDX-License-Identifier: Apache-2.0
#include "cluster/signing_key.hpp"

#include "cluster/base64url.hpp"
#include "cluster/curve_key.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace troupe::cluster {
namespace {

using tests::temp_dir;
namespace fs = std::filesystem;

mode_t mode_of(const fs::path& file) {
  struct stat found;
  return stat(file.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

TEST(base64url, has_the_texts_of_its_rfc) {
  // RFC 4648, section 10, without padding.
  EXPECT_EQ(to_base64url(""), "");
  EXPECT_EQ(to_base64url("f"), "Zg");
  EXPECT_EQ(to_base64url("fo"), "Zm8");
  EXPECT_EQ(to_base64url("foo"), "Zm9v");
  EXPECT_EQ(to_base64url("foob"), "Zm9vYg");
  EXPECT_EQ(to_base64url("fooba"), "Zm9vYmE");
  EXPECT_EQ(to_base64url("foobar"), "Zm9vYmFy");
  EXPECT_EQ(to_base64url("\xfb\xff"), "-_8");
}

TEST(base64url, comes_back_and_has_one_text_for_each_value) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(from_base64url(to_base64url(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
  EXPECT_FALSE(from_base64url("Zh"));  // bits beyond the byte
  EXPECT_FALSE(from_base64url("Z"));
  EXPECT_FALSE(from_base64url("Zg=="));
  EXPECT_FALSE(from_base64url("Zm9+"));
}

TEST(signing_key, what_it_signs_is_genuine_in_its_context_only) {
  const auto key = signing_key::make();
  ASSERT_TRUE(key);
  const std::string signature = key->sign("troupe order 1", "message");
  EXPECT_EQ(signature.size(), 64u);
  EXPECT_TRUE(key->id().verify("troupe order 1", "message", signature));
  EXPECT_FALSE(key->id().verify("troupe beacon 1", "message", signature));
  EXPECT_FALSE(key->id().verify("troupe order 1", "massage", signature));
  EXPECT_FALSE(key->id().verify("troupe order 1", "message", signature.substr(1)));
  EXPECT_FALSE(key->id().verify("troupe order 1", "message", ""));
  EXPECT_FALSE(signing_key::make()->id().verify("troupe order 1", "message", signature));
}

TEST(public_key, has_a_text_that_is_read_back) {
  const public_key key = signing_key::make()->id();
  EXPECT_EQ(key.text().size(), 8u + 43u);
  EXPECT_EQ(public_key::parse(key.text()), key);
  EXPECT_FALSE(public_key::parse(key.text().substr(8)));
  EXPECT_FALSE(public_key::parse(key.text() + "A"));
  EXPECT_FALSE(public_key::parse("ed25519:"));
  EXPECT_FALSE(public_key::from_bytes("short"));
}

TEST(signing_key, is_kept_in_a_file_that_nobody_else_reads) {
  const temp_dir folder;
  const std::string file = folder.path() / "signing.key";
  const auto key = signing_key::make();
  ASSERT_TRUE(key->save(file));
  EXPECT_EQ(mode_of(file), 0600u);
  EXPECT_TRUE(folder.read("signing.key").starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto back = signing_key::load(file);
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->id(), key->id());
  EXPECT_TRUE(key->id().verify("c", "m", back->sign("c", "m")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(signing_key, is_never_written_over) {
  const temp_dir folder;
  const std::string file = folder.path() / "signing.key";
  const auto key = signing_key::make();
  ASSERT_TRUE(key->save(file));
  const auto again = signing_key::make()->save(file);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().errc, refusal_errc::conflict);
  EXPECT_EQ(signing_key::load(file)->id(), key->id());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(signing_key, a_file_that_others_can_read_is_refused) {
  const temp_dir folder;
  const std::string file = folder.path() / "signing.key";
  ASSERT_TRUE(signing_key::make()->save(file));
  for (const auto more : {fs::perms::group_read, fs::perms::others_read, fs::perms::group_write}) {
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write | more);
    const auto loaded = signing_key::load(file);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().errc, refusal_errc::denied);
    EXPECT_EQ(loaded.error().file, file);
  }
}

TEST(signing_key, a_file_that_holds_none_is_refused) {
  const temp_dir folder;
  const std::string file = folder.path() / "signing.key";
  EXPECT_EQ(signing_key::load(file).error().errc, refusal_errc::missing);
  folder.write("signing.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(signing_key::load(file).error().errc, refusal_errc::malformed);
  folder.write("signing.key", std::string(5'000, 'x'));
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(signing_key::load(file).error().errc, refusal_errc::too_large);
  EXPECT_EQ(signing_key::load(folder.path()).error().errc, refusal_errc::denied);
}

TEST(curve_key, a_pair_follows_from_its_secret) {
  const auto pair = curve_pair::make();
  ASSERT_TRUE(pair);
  EXPECT_TRUE(is_curve_key(pair->public_key));
  EXPECT_TRUE(is_curve_key(pair->secret_key));
  const auto same = curve_pair::of_secret(pair->secret_key);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->public_key, pair->public_key);
  EXPECT_FALSE(curve_pair::of_secret("short"));
}

TEST(curve_key, is_forty_characters_of_z85) {
  EXPECT_TRUE(is_curve_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"));
  EXPECT_FALSE(is_curve_key(""));
  EXPECT_FALSE(is_curve_key(std::string(40, '"')));
  EXPECT_FALSE(is_curve_key(std::string(40, '#')));  // beyond 32 bits
  EXPECT_FALSE(is_curve_key(std::string(41, '0')));
}

TEST(curve_key, is_made_once_and_kept_in_a_file_that_nobody_else_reads) {
  const temp_dir folder;
  const std::string file = folder.path() / "node.key";
  const auto first = curve_pair::load_or_make(file);
  ASSERT_TRUE(first) << first.error().reason;
  EXPECT_EQ(mode_of(file), 0600u);
  EXPECT_EQ(folder.read("node.key"), first->secret_key + '\n');
  EXPECT_EQ(curve_pair::load_or_make(file)->public_key, first->public_key);
  EXPECT_EQ(curve_pair::make()->save(file).error().errc, refusal_errc::conflict);
  fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
  EXPECT_EQ(curve_pair::load_or_make(file).error().errc, refusal_errc::denied);
}

TEST(curve_key, a_file_that_holds_none_is_not_replaced) {
  const temp_dir folder;
  folder.write("node.key", "garbage\n");
  const std::string file = folder.path() / "node.key";
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(curve_pair::load_or_make(file).error().errc, refusal_errc::malformed);
  EXPECT_EQ(folder.read("node.key"), "garbage\n");
}

}  // namespace
}  // namespace troupe::cluster
