// SPDX-License-Identifier: Apache-2.0
#include "lua/location_match.hpp"

#include "lua/regex.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>

namespace troupe::lua {
namespace {

/// Locations as a test writes them, with the names they were written by for an answer.
class site {
 public:
  location_entry operator()(location_kind kind, std::string name,
                            std::vector<location_entry> nested = {}, bool redirects = false) {
    const auto number = static_cast<std::uint32_t>(names_.size());
    names_.push_back(sign(kind) + name);
    if (kind == location_kind::regex) regexes_.emplace(number, regex::compile(name, 0).value());
    return {kind, std::move(name), number, redirects, std::move(nested)};
  }

  void compile(std::vector<location_entry> entries) {
    auto compiled = location_match::compile(entries);
    ASSERT_TRUE(compiled.has_value()) << compiled.error().reason;
    match_ = std::make_unique<location_match>(std::move(*compiled));
  }

  std::string operator[](const std::string& path) {
    tried_.clear();
    captured_.clear();
    const auto found = match_->find(path, [&](std::uint32_t number) {
      tried_ += names_[number];
      std::array<std::size_t, 4> offsets{};
      const bool matches = regexes_.at(number).match(path, 0, 0, offsets) > 0;
      if (matches) captured_ = path.substr(offsets[0], offsets[1] - offsets[0]);
      return matches;
    });
    if (found.location == location_match::none) return "none";
    return names_[found.location] + (found.add_slash ? " redirect" : "");
  }

  const std::string& captured() const { return captured_; }
  const std::string& tried() const { return tried_; }
  const location_match& match() const { return *match_; }

 private:
  static std::string sign(location_kind kind) {
    switch (kind) {
      case location_kind::exact:
        return "=";
      case location_kind::final_prefix:
        return "^~";
      case location_kind::regex:
        return "~";
      default:
        return "";
    }
  }
  std::vector<std::string> names_;
  std::map<std::uint32_t, lua::regex> regexes_;
  std::unique_ptr<location_match> match_;
  std::string tried_, captured_;
};

constexpr auto prefix = location_kind::prefix, final_prefix = location_kind::final_prefix,
               exact = location_kind::exact, expression = location_kind::regex,
               named = location_kind::named;

}  // namespace

TEST(location_match, prefers_exact_then_the_longest_prefix) {
  site at;
  at.compile({at(prefix, "/"), at(prefix, "/a/b"), at(prefix, "/a"), at(exact, "/a"),
              at(exact, "/a/b/c"), at(prefix, "/ab")});
  EXPECT_EQ(at["/"], "/");
  EXPECT_EQ(at["/x"], "/");
  EXPECT_EQ(at["/a"], "=/a");
  EXPECT_EQ(at["/a/"], "/a");
  EXPECT_EQ(at["/a/b"], "/a/b");
  EXPECT_EQ(at["/a/bc"], "/a/b");
  EXPECT_EQ(at["/a/b/c"], "=/a/b/c");
  EXPECT_EQ(at["/a/b/cd"], "/a/b");
  EXPECT_EQ(at["/aa"], "/a");
  EXPECT_EQ(at["/abc"], "/ab");
  EXPECT_EQ(at["*"], "none");
}

TEST(location_match, has_no_location_where_none_is_written) {
  site at;
  at.compile({});
  EXPECT_EQ(at["/"], "none");
}

TEST(location_match, tries_regular_expressions_in_order_after_the_prefixes) {
  site at;
  at.compile({at(expression, "\\.lua$"), at(prefix, "/"), at(final_prefix, "/static/"),
              at(expression, "^/a"), at(exact, "/a.lua")});
  EXPECT_EQ(at["/a/x.lua"], "~\\.lua$");
  EXPECT_EQ(at["/a/x"], "~^/a");
  EXPECT_EQ(at["/b"], "/");
  EXPECT_EQ(at.tried(), "~\\.lua$~^/a");
  EXPECT_EQ(at["/static/x.lua"], "^~/static/");
  EXPECT_EQ(at.tried(), "");
  EXPECT_EQ(at["/a.lua"], "=/a.lua");
  EXPECT_EQ(at.tried(), "");
}

TEST(location_match, a_final_prefix_counts_only_if_it_is_the_longest) {
  site at;
  at.compile({at(final_prefix, "/a"), at(prefix, "/a/b"), at(expression, "x$")});
  EXPECT_EQ(at["/a/x"], "^~/a");
  EXPECT_EQ(at["/a/b/x"], "~x$");
}

TEST(location_match, looks_into_the_prefix_first_then_at_its_own_regular_expressions) {
  site at;
  at.compile({at(prefix, "/a",
                 {at(prefix, "/a/b", {at(expression, "deep$")}), at(exact, "/a/c"),
                  at(expression, "inner$")}),
              at(expression, "r$|deep$|c$")});
  EXPECT_EQ(at["/a/b"], "/a/b");
  EXPECT_EQ(at["/a/c"], "=/a/c");
  EXPECT_EQ(at["/a/b/deep"], "~deep$");
  EXPECT_EQ(at["/a/b/inner"], "~inner$");
  EXPECT_EQ(at["/a/deep"], "~r$|deep$|c$");
  EXPECT_EQ(at["/a/inner"], "~inner$");
  EXPECT_EQ(at["/a/x"], "/a");
}

TEST(location_match, a_final_prefix_closes_its_own_level_only) {
  site at;
  at.compile(
      {at(prefix, "/a", {at(final_prefix, "/a/b"), at(expression, "x$")}), at(expression, "z$")});
  EXPECT_EQ(at["/a/b/x"], "^~/a/b");
  EXPECT_EQ(at["/a/b/z"], "~z$");
}

TEST(location_match, looks_into_the_regular_expression_that_matched) {
  site at;
  at.compile({at(expression, "^/u/", {at(expression, "\\.png$"), at(expression, "\\.gif$")}),
              at(expression, "gif|jpg")});
  EXPECT_EQ(at["/u/a.png"], "~\\.png$");
  EXPECT_EQ(at.captured(), ".png");
  EXPECT_EQ(at["/u/a.jpg"], "~^/u/");
  EXPECT_EQ(at.captured(), "/u/");
  EXPECT_EQ(at["/v/a.jpg"], "~gif|jpg");
}

TEST(location_match, answers_the_path_without_its_slash_with_a_redirect) {
  site at;
  at.compile({at(prefix, "/"), at(prefix, "/a/", {}, true), at(prefix, "/a-b"), at(prefix, "/b/"),
              at(prefix, "/c/", {}, true), at(exact, "/c"), at(prefix, "/d/", {}, true),
              at(prefix, "/d"), at(expression, "a$")});
  EXPECT_EQ(at["/a"], "/a/ redirect");
  EXPECT_EQ(at["/a/"], "/a/");
  EXPECT_EQ(at["/b"], "/");
  EXPECT_EQ(at["/c"], "=/c");
  EXPECT_EQ(at["/d"], "/d");
}

TEST(location_match, finds_named_locations_by_their_names_only) {
  site at;
  at.compile({at(named, "@a"), at(prefix, "/")});
  EXPECT_EQ(at.match().find_named("@a"), 0U);
  EXPECT_EQ(at.match().find_named("@b"), location_match::none);
  EXPECT_EQ(at["@a"], "none");
}

TEST(location_match, refuses_two_of_a_kind) {
  const auto twice = [](location_kind first, location_kind second) {
    const location_entry entries[] = {{first, "/a", 1}, {second, "/a", 2}};
    const auto compiled = location_match::compile(entries);
    return compiled ? "fine"
                    : std::to_string(compiled.error().location) + " " + compiled.error().reason;
  };
  EXPECT_EQ(twice(prefix, prefix), "2 duplicate location \"/a\"");
  EXPECT_EQ(twice(prefix, final_prefix), "2 duplicate location \"/a\"");
  EXPECT_EQ(twice(exact, exact), "2 duplicate location \"/a\"");
  EXPECT_EQ(twice(exact, prefix), "fine");
  EXPECT_EQ(twice(expression, expression), "fine");
  EXPECT_EQ(twice(named, named), "fine");
}

}  // namespace troupe::lua
