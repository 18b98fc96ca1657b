// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/location_pattern.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace troupe::conf {
namespace {

using form = location_pattern::form;

location_pattern pattern(std::vector<std::string> args) {
  return parse_location(args).value();
}

void expect(const location_pattern& got, form kind, std::string_view name) {
  EXPECT_EQ(got.kind, kind) << name;
  EXPECT_EQ(got.name, name);
}

}  // namespace

TEST(location_pattern, reads_modifiers_apart_and_joined) {
  expect(pattern({"/a"}), form::prefix, "/a");
  expect(pattern({"=", "/a"}), form::exact, "/a");
  expect(pattern({"=/a"}), form::exact, "/a");
  expect(pattern({"^~", "/a"}), form::final_prefix, "/a");
  expect(pattern({"^~/a"}), form::final_prefix, "/a");
  expect(pattern({"~", "a$"}), form::regex, "a$");
  expect(pattern({"~a$"}), form::regex, "a$");
  expect(pattern({"~*", "a$"}), form::caseless_regex, "a$");
  expect(pattern({"~*a$"}), form::caseless_regex, "a$");
  expect(pattern({"@a"}), form::named, "@a");
  expect(pattern({""}), form::prefix, "");
  EXPECT_EQ(parse_location(std::vector<std::string>{"x", "y"}).error(),
            "invalid location modifier \"x\"");
}

TEST(location_pattern, knows_which_may_stand_in_which) {
  const auto error = [](std::vector<std::string> inner, std::vector<std::string> outer) {
    return nesting_error(pattern(std::move(inner)), pattern(std::move(outer)));
  };
  EXPECT_EQ(error({"/a/b"}, {"/a"}), "");
  EXPECT_EQ(error({"~", "b"}, {"/a"}), "");
  EXPECT_EQ(error({"~", "b"}, {"~", "^/a"}), "");
  EXPECT_EQ(error({"/b"}, {"/a"}), "location \"/b\" is outside location \"/a\"");
  EXPECT_EQ(error({"/a"}, {"~", "\\.php$"}), "location \"/a\" is outside location \"\\.php$\"");
  EXPECT_EQ(error({"/ab"}, {"=", "/a"}),
            "location \"/ab\" cannot be inside the exact location \"/a\"");
  EXPECT_EQ(error({"/ab"}, {"@a"}), "location \"/ab\" cannot be inside the named location \"@a\"");
  EXPECT_EQ(error({"@b"}, {"/a"}), "named location \"@b\" can be on the server level only");
}

TEST(location_pattern, refuses_server_names_as_nginx_does) {
  for (const auto* good : {"a.com", "*.a.com", ".a.com", "a.*", "~^a", "", "_"})
    EXPECT_EQ(server_name_error(good), "") << good;
  for (const auto* bad : {"*a", "*", "*.", "."})
    EXPECT_EQ(server_name_error(bad), "server name \"" + std::string(bad) + "\" is invalid");
  EXPECT_EQ(server_name_error("~"), "empty regex in server name \"~\"");
}

}  // namespace troupe::conf
