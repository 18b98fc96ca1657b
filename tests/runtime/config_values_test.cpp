// SPDX-License-Identifier: Apache-2.0
#include "runtime/config_values.hpp"

#include "runtime/release_store.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

using tests::temp_dir;
using time_point = config_values::time_point;
constexpr time_point noon{std::chrono::milliseconds(1767355200000)};

release_store open_store(const temp_dir& data) {
  auto store = release_store::open(data.path());
  EXPECT_TRUE(store) << (store ? "" : text(store.error()));
  return *std::move(store);
}

TEST(config_values, keep_their_type_across_a_restart) {
  temp_dir data;
  const std::map<std::string, config_value> values{
      {"s", {config_type::string, std::string("a\0b\xff", 4)}},
      {"n", {config_type::number, "-12.5e3"}},
      {"b", {config_type::boolean, "true"}},
      {"t", {config_type::table, R"({"a":[1,2,{"b":null}]})"}},
      {"empty", {config_type::string, ""}}};
  {
    auto store = open_store(data);
    std::uint64_t version = 0;
    for (const auto& [key, value] : values) {
      const auto set = store.config().set(key, value, "ann", noon);
      ASSERT_TRUE(set) << text(set.error());
      EXPECT_EQ(*set, ++version);
    }
  }
  auto store = open_store(data);
  for (const auto& [key, value] : values) {
    const auto entry = store.config().get(key);
    ASSERT_TRUE(entry && *entry) << key;
    EXPECT_EQ((*entry)->value, value);
    EXPECT_EQ((*entry)->author, "ann");
    EXPECT_EQ((*entry)->time, noon);
  }
  EXPECT_EQ(*store.config().version(), 5u);
  EXPECT_FALSE(*store.config().get("none"));
}

TEST(config_values, each_change_has_a_version_and_stays_in_the_history) {
  temp_dir data;
  auto store = open_store(data);
  config_values& config = store.config();
  EXPECT_EQ(*config.set("a", {config_type::number, "1"}, "ann", noon), 1u);
  EXPECT_EQ(*config.set("b", {config_type::number, "2"}, "ann", noon), 2u);
  EXPECT_EQ(*config.set("a", {config_type::string, "x"}, "bob", noon), 3u);
  EXPECT_EQ(**config.unset("a", "bob", noon), 4u);
  EXPECT_FALSE(*config.unset("a", "bob", noon));
  EXPECT_EQ(*config.version(), 4u);
  EXPECT_FALSE(*config.get("a"));

  const auto changes = config.history("a");
  ASSERT_TRUE(changes);
  ASSERT_EQ(changes->size(), 3u);
  EXPECT_EQ((*changes)[0].version, 4u);
  EXPECT_FALSE((*changes)[0].value);
  EXPECT_EQ((*changes)[0].author, "bob");
  EXPECT_EQ((*changes)[1].value, (config_value{config_type::string, "x"}));
  EXPECT_EQ((*changes)[2].value, (config_value{config_type::number, "1"}));
  EXPECT_EQ(config.history()->size(), 4u);
  EXPECT_EQ(config.history({}, 2)->size(), 2u);
}

TEST(config_values, are_listed_by_prefix) {
  temp_dir data;
  auto store = open_store(data);
  for (const char* key : {"feature.b", "feature.a", "features", "z", "feature_%"}) {
    if (std::string_view(key) == "feature_%") {
      EXPECT_FALSE(store.config().set(key, {config_type::boolean, "true"}, "", noon));
      continue;
    }
    ASSERT_TRUE(store.config().set(key, {config_type::boolean, "true"}, "", noon));
  }
  const auto some = store.config().list("feature.");
  ASSERT_EQ(some->size(), 2u);
  EXPECT_EQ((*some)[0].key, "feature.a");
  EXPECT_EQ((*some)[1].key, "feature.b");
  EXPECT_EQ(store.config().list()->size(), 4u);
  EXPECT_TRUE(store.config().list("%")->empty());
}

TEST(config_values, a_value_that_is_not_of_its_type_is_refused) {
  temp_dir data;
  auto store = open_store(data);
  const auto refused = [&](const std::string& key, config_type type, const std::string& value) {
    return !store.config().set(key, {type, value}, "", noon);
  };
  for (const char* value : {"", "x", "1x", " 1", "inf", "nan", "0x10", "1e999"}) {
    EXPECT_TRUE(refused("k", config_type::number, value)) << value;
  }
  for (const char* value : {"", "True", "1"})
    EXPECT_TRUE(refused("k", config_type::boolean, value));
  for (const char* value : {"", "{", "1", "\"s\"", "null", "{}x"}) {
    EXPECT_TRUE(refused("k", config_type::table, value)) << value;
  }
  for (const std::string& key : {std::string(), std::string("a b"), std::string("a\n"),
                                 std::string(256, 'k'), std::string("\xc3\xa4")}) {
    EXPECT_TRUE(refused(key, config_type::string, "x")) << key;
  }
  EXPECT_TRUE(refused("k", config_type::string, std::string((1 << 20) + 1, 'x')));
  EXPECT_EQ(*store.config().version(), 0u);
  EXPECT_TRUE(store.config().list()->empty());
}

}  // namespace
}  // namespace troupe
