// SPDX-License-Identifier: Apache-2.0
#include "cluster/key_folder.hpp"

#include "cluster/node_keys.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <thread>

#include <sys/stat.h>

namespace troupe::cluster {
namespace {

using tests::temp_dir;
namespace fs = std::filesystem;

mode_t mode_of(const fs::path& file) {
  struct stat found;
  return stat(file.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

key_folder make_folder(const temp_dir& in) {
  auto made = key_folder::make(in.path() / "keys", "ann@laptop");
  EXPECT_TRUE(made) << (made ? "" : made.error().reason);
  return *std::move(made);
}

// ---- trust.toml

trust_root sample_trust() {
  trust_root result;
  result.keys[signing_key::make()->id()] = {.roles = 8, .name = "ann"};
  result.keys[signing_key::make()->id()] = {.roles = 6, .name = "build"};
  result.tools = {curve_pair::make()->public_key, curve_pair::make()->public_key};
  return result;
}

TEST(trust_file, comes_back_as_it_went) {
  const trust_root root = sample_trust();
  const auto back = trust_root::parse(root.text(), "trust.toml");
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(*back, root);
}

TEST(trust_file, is_read_as_people_write_it) {
  const public_key key = signing_key::make()->id();
  const std::string curve = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
  const auto back =
      trust_root::parse("format=1 # the first\r\n\n  tools = [ \"" + curve +
                            "\" , ]# none other\n[[key]]\nroles=[\"push\",\"config\"]\n"
                            "  key = \"" +
                            key.text() + "\"",
                        "f");
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->keys.at(key).roles, 6);
  EXPECT_EQ(back->tools, std::vector{curve});
}

TEST(trust_file, what_is_wrong_is_named_with_its_line) {
  const std::string key = "key = \"" + signing_key::make()->id().text() + "\"\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "f:0: format = 1 is missing"},
      {"format = 1\n", "f:1: no key is trusted"},
      {"format = 2\n", "f:1: its format is not 1, which is all that this troupe knows"},
      {"format = 1\nrubbish\n", "f:2: expected NAME = VALUE or [[key]]"},
      {"format = 1\ncolour = 3\n", "f:2: unknown name \"colour\""},
      {"tools = [\"short\"]\n", "f:1: tools is a list of CURVE keys: 40 characters of Z85 each"},
      {"tools = [\"unended]\n", "f:1: tools is a list of CURVE keys: 40 characters of Z85 each"},
      {"[[key]]\nkey = \"ed25519:AAAA\"\n", "f:2: key is a string: \"ed25519:\" and 43 characters"},
      {"[[key]]\nroles = [\"root\"]\n", "f:2: unknown role \"root\": read, config, push, admin"},
      {"[[key]]\nname = \"a\\n\"\n", "f:2: name is a string, without escapes, of at most 64 bytes"},
      {"[[key]]\n" + key + "\n", "f:3: the [[key]] above needs key and roles"},
      {"[[key]]\n" + key + "roles = [\"push\"]\n[[key]]\n" + key + "roles = [\"push\"]\n",
       "f:6: the key above stands here twice"},
  };
  for (const auto& [text, reason] : cases) {
    const auto back = trust_root::parse(text, "f");
    ASSERT_FALSE(back) << text;
    EXPECT_EQ(back.error().reason, reason);
    EXPECT_EQ(back.error().errc, refusal_errc::malformed);
  }
}

TEST(trust_file, one_that_others_can_write_is_refused) {
  const temp_dir folder;
  const std::string file = folder.path() / "trust.toml";
  ASSERT_TRUE(sample_trust().save(file));
  EXPECT_EQ(mode_of(file), 0644u);
  EXPECT_TRUE(trust_root::load(file));
  for (const auto more : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(file, fs::perms::owner_all | more);
    EXPECT_EQ(trust_root::load(file).error().errc, refusal_errc::denied);
  }
  EXPECT_EQ(sample_trust().save(file).error().errc, refusal_errc::conflict);
}

TEST(trust_file, a_name_that_the_file_cannot_hold_is_written_without_what_is_wrong) {
  trust_root root = sample_trust();
  root.keys.begin()->second.name = "a\"b\\c\nd";
  const auto back = trust_root::parse(root.text(), "f");
  ASSERT_TRUE(back) << back.error().reason;
  EXPECT_EQ(back->keys.begin()->second.name, "a?b?c?d");
}

// ---- the operator's folder

TEST(key_folder, has_an_admins_key_the_tools_key_and_the_root_of_trust) {
  const temp_dir at;
  const key_folder made = make_folder(at);
  EXPECT_EQ(mode_of(at.path() / "keys"), 0700u);
  EXPECT_EQ(mode_of(at.path() / "keys/signing.key"), 0600u);
  EXPECT_EQ(mode_of(at.path() / "keys/cluster.key"), 0600u);
  ASSERT_EQ(made.trust().keys.size(), 1u);
  EXPECT_EQ(made.trust().keys.at(made.signing().id()),
            (trusted_key{static_cast<key_roles>(key_role::admin), "ann@laptop"}));
  EXPECT_EQ(made.trust().tools, std::vector{made.tools().public_key});
  const auto loaded = key_folder::load(at.path() / "keys");
  ASSERT_TRUE(loaded) << loaded.error().reason;
  EXPECT_EQ(loaded->signing().id(), made.signing().id());
  EXPECT_EQ(loaded->tools().secret_key, made.tools().secret_key);
  EXPECT_EQ(loaded->trust(), made.trust());
}

TEST(key_folder, is_never_made_over_one_that_is_there) {
  const temp_dir at;
  const key_folder made = make_folder(at);
  const auto again = key_folder::make(at.path() / "keys", "bob");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().errc, refusal_errc::conflict);
  EXPECT_EQ(key_folder::load(at.path() / "keys")->signing().id(), made.signing().id());
}

TEST(key_folder, what_a_broken_off_init_left_is_used) {
  const temp_dir at;
  fs::create_directories(at.path() / "keys");
  const auto key = signing_key::make();
  ASSERT_TRUE(key->save(at.path() / "keys/signing.key"));
  EXPECT_EQ(key_folder::load(at.path() / "keys").error().errc, refusal_errc::missing);
  const key_folder made = make_folder(at);
  EXPECT_EQ(made.signing().id(), key->id());
}

TEST(key_folder, with_a_key_that_others_can_read_is_refused) {
  for (const char* name : {"signing.key", "cluster.key"}) {
    const temp_dir at;
    make_folder(at);
    fs::permissions(at.path() / "keys" / name, fs::perms::group_read, fs::perm_options::add);
    const auto loaded = key_folder::load(at.path() / "keys");
    ASSERT_FALSE(loaded) << name;
    EXPECT_EQ(loaded.error().errc, refusal_errc::denied);
    EXPECT_EQ(loaded.error().file, (at.path() / "keys" / name).string());
  }
}

TEST(key_folder, knows_the_nodes_that_said_where_they_listen) {
  const temp_dir at;
  const key_folder keys = make_folder(at);
  EXPECT_TRUE(keys.known_nodes()->empty());
  const std::string one = curve_pair::make()->public_key;
  const std::string other = curve_pair::make()->public_key;
  ASSERT_TRUE(keys.remember_node("127.0.0.1:7000", one));
  ASSERT_TRUE(keys.remember_node("[::1]:7000", one));
  ASSERT_TRUE(keys.remember_node("127.0.0.1:7000", other));
  EXPECT_EQ(*keys.known_nodes(),
            (std::map<std::string, std::string>{{"127.0.0.1:7000", other}, {"[::1]:7000", one}}));
  EXPECT_FALSE(keys.remember_node("a b:7000", one));
  EXPECT_FALSE(keys.remember_node("a:7000\nb:1", one));
  EXPECT_FALSE(keys.remember_node("a:7000", "short"));
}

TEST(key_folder, nodes_that_start_at_once_are_all_known) {
  const temp_dir at;
  const key_folder keys = make_folder(at);
  const std::string curve = curve_pair::make()->public_key;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 5; ++j) {
        EXPECT_TRUE(keys.remember_node("127.0.0.1:" + std::to_string(7000 + 10 * i + j), curve));
      }
    });
  }
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(keys.known_nodes()->size(), 40u);
}

TEST(key_folder, a_damaged_line_of_known_nodes_is_named) {
  const temp_dir at;
  const key_folder keys = make_folder(at);
  at.write("keys/known_nodes", "# comment\n127.0.0.1:7000 short\n");
  const auto known = keys.known_nodes();
  ASSERT_FALSE(known);
  EXPECT_NE(known.error().reason.find("known_nodes:2: expected"), std::string::npos);
  // And is not lost by writing.
  EXPECT_FALSE(keys.remember_node("127.0.0.1:7001", curve_pair::make()->public_key));
}

// ---- a node's

TEST(node_keys, are_made_once) {
  const temp_dir data;
  const auto first = node_keys::load_or_make(data.path());
  ASSERT_TRUE(first) << first.error().reason;
  EXPECT_EQ(mode_of(data.path() / "keys"), 0700u);
  EXPECT_EQ(mode_of(data.path() / "keys/node.key"), 0600u);
  EXPECT_EQ(mode_of(data.path() / "keys/signing.key"), 0600u);
  const auto again = node_keys::load_or_make(data.path());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->link.public_key, first->link.public_key);
  EXPECT_EQ(again->signing.id(), first->signing.id());
  fs::permissions(data.path() / "keys/node.key", fs::perms::others_read, fs::perm_options::add);
  EXPECT_EQ(node_keys::load_or_make(data.path()).error().errc, refusal_errc::denied);
}

TEST(node_keys, trust_is_kept_once_and_not_that_of_another_cluster) {
  const temp_dir data;
  const auto none = node_keys::trust(data.path());
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  const trust_root root = sample_trust();
  ASSERT_TRUE(node_keys::keep_trust(data.path(), root));
  EXPECT_EQ(**node_keys::trust(data.path()), root);
  ASSERT_TRUE(node_keys::keep_trust(data.path(), root));
  // A later token of the same cluster changes nothing.
  trust_root more = root;
  more.keys[signing_key::make()->id()] = {.roles = 8, .name = "new"};
  ASSERT_TRUE(node_keys::keep_trust(data.path(), more));
  EXPECT_EQ(**node_keys::trust(data.path()), root);
  const auto other = node_keys::keep_trust(data.path(), sample_trust());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().errc, refusal_errc::conflict);
}

}  // namespace
}  // namespace troupe::cluster
