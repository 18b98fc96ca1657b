// SPDX-License-Identifier: Apache-2.0
#include "net/uri.hpp"

#include <gtest/gtest.h>

#include <string>

namespace troupe::net {
namespace {

class targets : public testing::Test {
 protected:
  /// The path, or "refused".
  std::string path(std::string_view raw, bool merge = true) {
    return parse_target(raw, merge, memory_, last_) ? std::string(last_.path) : "refused";
  }
  arena memory_;
  target last_;
};

TEST_F(targets, a_plain_one_is_a_view_of_what_was_sent) {
  const std::string_view raw = "/a/b-c.html?x=1&y=/../%zz";
  EXPECT_EQ(path(raw), "/a/b-c.html");
  EXPECT_EQ(last_.path.data(), raw.data());
  EXPECT_TRUE(last_.is_plain);
  EXPECT_EQ(last_.args, "x=1&y=/../%zz");
  EXPECT_TRUE(last_.has_args);
  EXPECT_EQ(last_.host, "");
}

TEST_F(targets, escapes_are_decoded_in_the_path_alone) {
  EXPECT_EQ(path("/a%20b%2Fc%3fd%23e%25f+g?h%20i"), "/a b/c?d#e%f+g");
  EXPECT_EQ(last_.args, "h%20i");
  EXPECT_FALSE(last_.is_plain);
  EXPECT_EQ(path("/%e4%BD%a0"), "/\xe4\xbd\xa0");
  EXPECT_EQ(path("/%2541"), "/%41");  // Once, not again.
}

TEST_F(targets, bad_escapes_and_nul_are_refused) {
  for (const char* raw : {"/%", "/%4", "/a%4", "/%g0", "/%0g", "/%%41", "/%00", "/a%00b", "/%?41",
                          "/%4?1", "/%-1", "/% 1", "/%2"}) {
    EXPECT_EQ(path(raw), "refused") << raw;
  }
  EXPECT_EQ(path(std::string_view("/\0", 2)), "refused");
  EXPECT_EQ(path("/a?%00%"), "/a");
}

TEST_F(targets, slashes_are_merged_if_asked) {
  EXPECT_EQ(path("//a///b//"), "/a/b/");
  EXPECT_EQ(path("/a%2f/b%2F%2fc"), "/a/b/c");
  EXPECT_EQ(path("//"), "/");
  EXPECT_EQ(path("//a///b//", false), "//a///b//");
  EXPECT_TRUE(last_.is_plain);
  EXPECT_EQ(path("/a%2f/b", false), "/a//b");
  EXPECT_EQ(path("/a//../b", false), "/a/b");
  EXPECT_EQ(path("/a//../b"), "/b");
}

TEST_F(targets, dot_segments_are_resolved) {
  const std::pair<const char*, const char*> cases[] = {
      {"/.", "/"},           {"/./", "/"},          {"/a/.", "/a/"},      {"/a/./b", "/a/b"},
      {"/a/..", "/"},        {"/a/../", "/"},       {"/a/../b", "/b"},    {"/a/b/../../c", "/c"},
      {"/a/b/..", "/a/"},    {"/.a", "/.a"},        {"/..a", "/..a"},     {"/a.", "/a."},
      {"/a..", "/a.."},      {"/...", "/..."},      {"/a/...", "/a/..."}, {"/.../", "/.../"},
      {"/a/%2e%2E/b", "/b"}, {"/a%2f..%2fb", "/b"}, {"/a/.%2e", "/"},     {"/a/.?..", "/a/"},
      {"/a/..?x", "/"},      {"/a/..#x", "/"},      {"/a/.%3f", "/a/.?"}, {"/a/..%23", "/a/..#"},
  };
  for (const auto& [raw, resolved] : cases) EXPECT_EQ(path(raw), resolved) << raw;
}

TEST_F(targets, nothing_leads_above_the_root) {
  for (const char* raw : {"/..", "/../", "/../a", "/a/../..", "/a/../../b", "/./..", "//..",
                          "/%2e%2e", "/.%2e/a", "/a/%2e%2e%2f%2e%2e", "/a/b/../../../c", "/..?a"}) {
    EXPECT_EQ(path(raw), "refused") << raw;
  }
}

TEST_F(targets, a_fragment_is_dropped) {
  EXPECT_EQ(path("/a#b?c"), "/a");
  EXPECT_FALSE(last_.has_args);
  EXPECT_EQ(path("/a?b#c?d"), "/a");
  EXPECT_EQ(last_.args, "b");
  EXPECT_EQ(path("/#/.."), "/");
}

TEST_F(targets, a_question_mark_alone_is_no_args) {
  EXPECT_EQ(path("/a?"), "/a");
  EXPECT_TRUE(last_.has_args);
  EXPECT_EQ(last_.args.data(), nullptr);
  EXPECT_EQ(path("/a"), "/a");
  EXPECT_FALSE(last_.has_args);
}

TEST_F(targets, the_absolute_form_names_a_host) {
  EXPECT_EQ(path("http://Example.com:8080/a/../b?c"), "/b");
  EXPECT_EQ(last_.host, "Example.com:8080");
  EXPECT_EQ(last_.args, "c");
  EXPECT_EQ(path("HTTPS://[::1]:443/"), "/");
  EXPECT_EQ(last_.host, "[::1]:443");
  EXPECT_EQ(path("http://a"), "/");
  EXPECT_EQ(last_.host, "a");
  EXPECT_EQ(path("http://a?b/c"), "/");
  EXPECT_EQ(last_.args, "b/c");
  EXPECT_EQ(path("svn+ssh-1.0://a./b"), "/b");
}

TEST_F(targets, other_forms_are_refused) {
  for (const char* raw : {"",
                          "a",
                          "a/b",
                          "?a",
                          "#a",
                          "%2f",
                          "http:",
                          "http:/",
                          "http:/a",
                          "http://",
                          "http:///a",
                          "http://:80/",
                          "http://u@a/",
                          "http://u:p@a/",
                          "http://a:8x/",
                          "http://a..b/",
                          "http://./",
                          "http://a_b/",
                          "http://a%20/",
                          "http://[::1/",
                          "http://[]/",
                          "http://[::1]a/",
                          "1http://a/",
                          "ht_tp://a/",
                          "://a/",
                          "http://a#b",
                          "a:80",
                          "http://a\\b/",
                          "*"}) {
    EXPECT_EQ(path(raw), "refused") << raw;
  }
}

TEST_F(targets, an_asterisk_is_for_those_who_allow_it) {
  EXPECT_TRUE(parse_target("*", true, memory_, last_, true));
  EXPECT_TRUE(last_.is_asterisk);
  EXPECT_EQ(last_.path, "/");
  EXPECT_FALSE(parse_target("**", true, memory_, last_, true));
  EXPECT_FALSE(parse_target("*?a", true, memory_, last_, true));
}

TEST(host_without_port, is_lower_case_and_has_no_last_dot) {
  arena memory;
  const std::pair<const char*, const char*> cases[] = {
      {"example.com", "example.com"},
      {"EXAMPLE.Com:80", "example.com"},
      {"a.", "a"},
      {"a.:80", "a"},
      {"[::1]:80", "[::1]"},
      {"[FE80::1]", "[fe80::1]"},
      {"a:", "a"},
      {"", ""},
      {"127.0.0.1:80", "127.0.0.1"},
  };
  for (const auto& [host, plain] : cases) EXPECT_EQ(host_without_port(host, memory), plain) << host;
}

std::string escaped(std::string_view text, escape_type type) {
  std::string out = ">";
  escape_uri(out, text, type);
  EXPECT_EQ(out.size(), 1 + text.size() + escaped_growth(text, type));
  return out.substr(1);
}

TEST(escape_uri, each_type_has_its_bytes) {
  const std::string_view text = " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~";
  EXPECT_EQ(escaped(text, escape_type::uri), "%20!\"%23$%25&'()*+,-./09:;<=>%3F@AZ[\\]^_`az{|}~");
  EXPECT_EQ(escaped(text, escape_type::args),
            "%20!\"%23$%25&'()*%2B,-./09:;<=>%3F@AZ[\\]^_`az{|}~");
  EXPECT_EQ(
      escaped(text, escape_type::component),
      "%20!%22%23%24%25%26'()*%2B%2C-.%2F09%3A%3B%3C%3D%3E%3F%40AZ%5B%5C%5D%5E_%60az%7B%7C%7D~");
  EXPECT_EQ(escaped(text, escape_type::html), "%20!%22%23$%25&%27()*+,-./09:;<=>?@AZ[\\]^_`az{|}~");
  EXPECT_EQ(escaped(text, escape_type::refresh), "%20!%22#$%&%27()*+,-./09:;<=>?@AZ[\\]^_`az{|}~");
  EXPECT_EQ(escaped(text, escape_type::memcached), "%20!\"#$%25&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~");
  EXPECT_EQ(escaped(text, escape_type::mail_auth), escaped(text, escape_type::memcached));
  EXPECT_EQ(escaped(text, escape_type::path),
            "%20!%22%23$%25&'()*+,-./09:;%3C=%3E%3F@AZ[%5C]%5E_%60az%7B%7C%7D~");
  EXPECT_EQ(escaped(text, escape_type::path_args),
            "%20!%22%23$%25%26'()*%2B,-./09:%3B%3C=%3E%3F@AZ[%5C]%5E_%60az%7B%7C%7D~");
}

TEST(escape_uri, control_bytes_and_those_beyond_ascii_are_escaped) {
  const std::string_view text("\0\n\x1f\x7f\x80\xff", 6);
  for (const auto type : {escape_type::uri, escape_type::args, escape_type::component,
                          escape_type::html, escape_type::refresh, escape_type::path}) {
    EXPECT_EQ(escaped(text, type), "%00%0A%1F%7F%80%FF");
  }
  EXPECT_EQ(escaped(text, escape_type::memcached), "%00%0A%1F\x7f\x80\xff");
}

TEST(unescape_uri, bad_escapes_stay) {
  auto unescaped = [](std::string_view text, bool plus) {
    std::string out = ">";
    unescape_uri(out, text, plus);
    return out.substr(1);
  };
  EXPECT_EQ(unescaped("a%20b+c%2b", true), "a b c+");
  EXPECT_EQ(unescaped("a%20b+c", false), "a b+c");
  EXPECT_EQ(unescaped("%", true), "%");
  EXPECT_EQ(unescaped("%4", true), "%4");
  EXPECT_EQ(unescaped("%41%", true), "A%");
  EXPECT_EQ(unescaped("%2541", true), "%41");
  EXPECT_EQ(unescaped("%00", true), std::string(1, '\0'));
}

TEST(unescape_uri, gives_back_what_was_escaped) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  for (const auto type : {escape_type::uri, escape_type::args, escape_type::component,
                          escape_type::html, escape_type::path, escape_type::path_args}) {
    std::string back;
    unescape_uri(back, escaped(all, type), false);
    EXPECT_EQ(back, all);
  }
}

TEST(is_unsafe_path, finds_parents_and_nul) {
  for (const char* path : {"", "?a", "..", "../a", "/..", "/a/..", "/a/../b", "/a/..?b"}) {
    EXPECT_TRUE(is_unsafe_path(path)) << path;
  }
  EXPECT_TRUE(is_unsafe_path(std::string_view("/a\0", 3)));
  for (const char* path : {"/", "/a", "/..a", "/a..", "/a?/../b", "a"}) {
    EXPECT_FALSE(is_unsafe_path(path)) << path;
  }
}

}  // namespace
}  // namespace troupe::net
