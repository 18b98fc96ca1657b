// SPDX-License-Identifier: Apache-2.0
#include "net/http1_parser.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "net/exchange.hpp"

namespace troupe::net {
namespace {

// All that a parse says, so that two can be compared.
struct outcome {
  parse_status status = parse_status::need_more;
  http_errc error = http_errc::none;
  std::string method, target, line, host;
  std::uint32_t method_number = 0;
  int version = 0;
  std::int64_t length = -1;
  bool is_chunked = false, keep_alive = false, expects_continue = false, has_host = false;
  std::size_t size = 0, start = 0;
  std::vector<std::string> fields;
  bool operator==(const outcome&) const = default;
};

void PrintTo(const outcome& o, std::ostream* out) {
  *out << "status " << static_cast<int>(o.status) << " error " << message(o.error) << " "
       << o.method << " " << o.target << " version " << o.version << " size " << o.size << " start "
       << o.start << " fields";
  for (const auto& f : o.fields) *out << " [" << f << "]";
}

outcome describe(parse_status status, const http1_parser& parser, const request_head& head,
                 const header_map& fields) {
  outcome o;
  o.status = status;
  o.error = parser.error;
  o.line = head.request_line;
  if (status == parse_status::failed) return o;
  o.method = head.method_name;
  o.method_number = head.method;
  o.target = head.target;
  o.version = head.version;
  o.start = head.start;
  if (status != parse_status::done) return o;
  o.host = head.host;
  o.has_host = head.has_host;
  o.length = head.content_length ? static_cast<std::int64_t>(*head.content_length) : -1;
  o.is_chunked = head.is_chunked;
  o.keep_alive = head.keep_alive;
  o.expects_continue = head.expects_continue;
  o.size = head.size;
  for (const header_field& f : fields) {
    o.fields.push_back(std::string(f.name) + ": " + std::string(f.value));
  }
  return o;
}

outcome parse(std::string_view bytes, http1_parser::options how = {}) {
  http1_parser parser;
  request_head head;
  header_map fields;
  const auto status = parser.parse(bytes, head, fields, how);
  return describe(status, parser, head, fields);
}

// Arrives in pieces that end at `cuts`; each time the bytes lie elsewhere and the old ones are
// gone.
outcome parse_in_pieces(std::string_view bytes, const std::vector<std::size_t>& cuts) {
  http1_parser parser;
  header_map fields;
  std::unique_ptr<std::string> seen;
  outcome last;
  for (const std::size_t cut : cuts) {
    seen = std::make_unique<std::string>(bytes.substr(0, cut));
    request_head head;
    const auto status = parser.parse(*seen, head, fields, {});
    last = describe(status, parser, head, fields);
    if (status != parse_status::need_more) break;
  }
  return last;
}

http_errc error_of(std::string_view bytes) {
  const outcome o = parse(bytes);
  EXPECT_EQ(o.status == parse_status::failed, o.error != http_errc::none) << bytes;
  return o.error;
}

std::string with_host(std::string_view fields) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

TEST(http1_parser, reads_a_request) {
  const outcome o = parse(
      "GET /a/b?c=d HTTP/1.1\r\n"
      "Host: example.com:8080\r\n"
      "User-Agent: x y\r\n"
      "Accept:*/*\r\n"
      "X-Empty:\r\n"
      "X-Space: \t a b \t \r\n"
      "\r\nrest");
  EXPECT_EQ(o.status, parse_status::done);
  EXPECT_EQ(o.method, "GET");
  EXPECT_EQ(o.method_number, method_get);
  EXPECT_EQ(o.target, "/a/b?c=d");
  EXPECT_EQ(o.line, "GET /a/b?c=d HTTP/1.1");
  EXPECT_EQ(o.version, 1001);
  EXPECT_EQ(o.host, "example.com:8080");
  EXPECT_TRUE(o.keep_alive);
  EXPECT_FALSE(o.is_chunked);
  EXPECT_EQ(o.length, -1);
  EXPECT_EQ(o.fields, (std::vector<std::string>{"Host: example.com:8080", "User-Agent: x y",
                                                "Accept: */*", "X-Empty: ", "X-Space: a b"}));
}

TEST(http1_parser, stops_at_the_end_of_the_head) {
  const std::string first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
  const outcome o = parse(first + "GET /2 HTTP/1.1\r\nHost: b\r\n\r\n");
  EXPECT_EQ(o.size, first.size());
  EXPECT_EQ(o.target, "/1");
}

const char* const samples[] = {
    "GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n",
    "\r\n\r\nPOST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    "\nGET / HTTP/1.0\n\nabc",
    "GET /\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nbad header: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n",
    "\r\rGET / HTTP/1.1\r\n\r\n",
    "get / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "OPTIONS /\xff\xfe HTTP/1.1\nHost: [::1]:80\n_x: y\nZ!: q\n\n",
};

TEST(http1_parser, cut_at_any_byte_gives_what_the_whole_gives) {
  for (const std::string_view sample : samples) {
    const outcome whole = parse(sample);
    EXPECT_NE(whole.status, parse_status::need_more) << sample;
    for (std::size_t cut = 0; cut <= sample.size(); ++cut) {
      ASSERT_EQ(parse_in_pieces(sample, {cut, sample.size()}), whole) << sample << " at " << cut;
    }
  }
}

TEST(http1_parser, byte_by_byte_gives_what_each_beginning_gives) {
  for (const std::string_view sample : samples) {
    http1_parser parser;
    header_map fields;
    for (std::size_t size = 0; size <= sample.size(); ++size) {
      const auto seen = std::make_unique<std::string>(sample.substr(0, size));
      request_head head;
      const auto status = parser.parse(*seen, head, fields, {});
      ASSERT_EQ(describe(status, parser, head, fields), parse(*seen)) << *seen;
      if (status != parse_status::need_more) break;
    }
  }
}

TEST(http1_parser, can_be_used_again_after_reset) {
  http1_parser parser;
  request_head head;
  header_map fields;
  const std::string first = with_host("Content-Length: 5\r\nConnection: close\r\n");
  ASSERT_EQ(parser.parse(first, head, fields, {}), parse_status::done);
  parser.reset();
  const std::string second = "GET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
  ASSERT_EQ(parser.parse(second, head, fields, {}), parse_status::done);
  EXPECT_EQ(describe(parse_status::done, parser, head, fields), parse(second));
}

TEST(http1_parser, says_which_line_is_not_complete) {
  http1_parser parser;
  request_head head;
  header_map fields;
  parser.parse("GET / HT", head, fields, {});
  EXPECT_FALSE(parser.request_line_seen);
  EXPECT_EQ(parser.line_start, 0U);
  parser.parse("GET / HTTP/1.1\r\nHost: a\r\nX: ", head, fields, {});
  EXPECT_TRUE(parser.request_line_seen);
  EXPECT_EQ(parser.line_start, 25U);
  EXPECT_EQ(head.request_line, "GET / HTTP/1.1");
}

TEST(http1_parser, knows_the_methods_and_takes_others) {
  const std::pair<const char*, std::uint32_t> methods[] = {
      {"GET", method_get},           {"HEAD", method_head},
      {"POST", method_post},         {"PUT", method_put},
      {"DELETE", method_delete},     {"MKCOL", method_mkcol},
      {"COPY", method_copy},         {"MOVE", method_move},
      {"OPTIONS", method_options},   {"LOCK", method_lock},
      {"PROPFIND", method_propfind}, {"UNLOCK", method_unlock},
      {"PATCH", method_patch},       {"PROPPATCH", method_proppatch},
      {"TRACE", method_trace},       {"PURGE", method_unknown},
      {"M-SEARCH", method_unknown},  {"X_Y", method_unknown},
      {"GETGET", method_unknown},    {"G", method_unknown}};
  for (const auto& [name, bit] : methods) {
    const outcome o = parse(std::string(name) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(o.status, parse_status::done) << name;
    EXPECT_EQ(o.method, name);
    EXPECT_EQ(o.method_number, bit) << name;
  }
}

TEST(http1_parser, refuses_what_is_no_method) {
  for (const std::string_view line :
       {"get / HTTP/1.1", "GET", "GET\t/ HTTP/1.1", " GET / HTTP/1.1", "G@T / HTTP/1.1",
        "\x16\x03\x01", "G\0T / HTTP/1.1", "\rGET / HTTP/1.1"}) {
    EXPECT_EQ(error_of(std::string(line) + "\r\nHost: a\r\n\r\n"), http_errc::bad_method) << line;
  }
  EXPECT_EQ(error_of(std::string("GE\0T / HTTP/1.1\r\n\r\n", 19)), http_errc::bad_method);
}

TEST(http1_parser, refuses_a_bad_target_or_version) {
  for (const std::string_view line : {"GET ",
                                      "GET /a\tb HTTP/1.1",
                                      "GET /a\x7f HTTP/1.1",
                                      "GET /a\rb HTTP/1.1",
                                      "GET /a b HTTP/1.1",
                                      "GET / http/1.1",
                                      "GET / HTTP1.1",
                                      "GET / HTTP/",
                                      "GET / HTTP/1",
                                      "GET / HTTP/1.",
                                      "GET / HTTP/.1",
                                      "GET / HTTP/1.1x",
                                      "GET / HTTP/1.1\r",
                                      "GET / HTTP/0.9",
                                      "GET / HTTP/01.1",
                                      "GET / HTTP/-1.1",
                                      "GET / HTTP/1.111",
                                      "GET / HTTP/1111.1",
                                      "GET / HTTP/1.1 HTTP/1.1",
                                      "GET / HTTP/1.1\tx",
                                      "GET / XTTP/1.1"}) {
    EXPECT_EQ(error_of(std::string(line) + "\r\nHost: a\r\n\r\n"), http_errc::bad_request_line)
        << line;
  }
  EXPECT_EQ(error_of(std::string("GET /\0 HTTP/1.1\r\n\r\n", 19)), http_errc::bad_request_line);
}

TEST(http1_parser, a_later_http_is_told_so) {
  for (const char* version : {"2.0", "3.0", "9.9", "10.0", "99.99"}) {
    EXPECT_EQ(error_of("GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n\r\n"),
              http_errc::bad_version);
  }
  EXPECT_EQ(http_status(http_errc::bad_version), 505);
}

TEST(http1_parser, a_later_minor_version_is_taken_for_1_1) {
  EXPECT_EQ(parse("GET / HTTP/1.2\r\nHost: a\r\n\r\n").version, 1001);
  EXPECT_EQ(parse("GET / HTTP/1.1 \r\nHost: a\r\n\r\n").version, 1001);
  EXPECT_EQ(parse("GET   /   HTTP/1.1\r\nHost: a\r\n\r\n").target, "/");
}

TEST(http1_parser, http_0_9_is_one_line_of_get) {
  const outcome o = parse("GET /a?b\r\nHost: x\r\n\r\n");
  EXPECT_EQ(o.status, parse_status::done);
  EXPECT_EQ(o.version, 9);
  EXPECT_EQ(o.target, "/a?b");
  EXPECT_EQ(o.size, 10U);
  EXPECT_FALSE(o.keep_alive);
  EXPECT_TRUE(o.fields.empty());
  EXPECT_EQ(parse("GET / \n").version, 9);
  EXPECT_EQ(error_of("POST /\r\n"), http_errc::bad_09_method);
}

TEST(http1_parser, empty_lines_may_come_before_the_request) {
  const outcome o = parse("\r\n\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(o.status, parse_status::done);
  EXPECT_EQ(o.start, 5U);
  EXPECT_EQ(o.line, "GET / HTTP/1.1");
  EXPECT_EQ(o.size, 32U);
}

TEST(http1_parser, a_bare_line_feed_ends_a_line) {
  const outcome o = parse("GET / HTTP/1.1\nHost: a\nB: c\r\n\n");
  EXPECT_EQ(o.status, parse_status::done);
  EXPECT_EQ(o.fields, (std::vector<std::string>{"Host: a", "B: c"}));
}

TEST(http1_parser, refuses_bad_field_lines) {
  for (const std::string_view line :
       {"no colon", "nocolon", ": no name", ":", "a b: c", "Space : x", "Tab\t: x", " Folded: x",
        "\tx", "A: b\x01", "A: b\x7f", "A: b\rc", "A: \r", "A\x7f: b", "Content-Length : 3",
        "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked"}) {
    EXPECT_EQ(error_of(with_host(std::string(line) + "\r\n")), http_errc::bad_header) << line;
  }
  EXPECT_EQ(error_of(with_host(std::string("A: b\0c\r\n", 8))), http_errc::bad_header);
  EXPECT_EQ(error_of(with_host(std::string("A\0: b\r\n", 7))), http_errc::bad_header);
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), http_errc::bad_header);
}

TEST(http1_parser, finds_a_control_byte_at_any_place_of_a_value) {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const char c : {'\0', '\x01', '\x1f', '\x7f', '\r'}) {
        std::string value(size, 'v');
        value[at] = c;
        ASSERT_EQ(error_of(with_host("A: " + value + "\r\n")), http_errc::bad_header)
            << size << " " << at << " " << static_cast<int>(c);
      }
      for (const char c : {'\t', ' ', '\x20', '~', '\x80', '\xff'}) {
        std::string value(size + 2, 'v');
        value[at + 1] = c;
        ASSERT_EQ(parse(with_host("A: " + value + "\r\n")).fields.back(), "A: " + value);
      }
    }
  }
}

TEST(http1_parser, fields_with_odd_names_are_left_out_unless_wanted) {
  const std::string bytes = with_host("a_b: 1\r\nc!d: 2\r\n\xc3\xa4: 3\r\ne-f: 4\r\n");
  using list = std::vector<std::string>;
  EXPECT_EQ(parse(bytes).fields, (list{"Host: a", "e-f: 4"}));
  EXPECT_EQ(parse(bytes, {.underscores_in_headers = true}).fields,
            (list{"Host: a", "a_b: 1", "e-f: 4"}));
  EXPECT_EQ(parse(bytes, {.ignore_invalid_headers = false}).fields,
            (list{"Host: a", "a_b: 1", "c!d: 2", "\xc3\xa4: 3", "e-f: 4"}));
}

TEST(http1_parser, a_content_length_is_digits_and_nothing_else) {
  EXPECT_EQ(parse(with_host("Content-Length: 0\r\n")).length, 0);
  EXPECT_EQ(parse(with_host("content-length:\t0042 \r\n")).length, 42);
  EXPECT_EQ(parse(with_host("Content-Length: 9223372036854775807\r\n")).length,
            std::numeric_limits<std::int64_t>::max());
  for (const char* value :
       {"", "-1", "+1", "1,1", "1, 1", "1 1", "0x10", "1a", "1.0", "1;q", "9223372036854775808",
        "18446744073709551616", "100000000000000000000000000000000000000"}) {
    EXPECT_EQ(error_of(with_host("Content-Length: " + std::string(value) + "\r\n")),
              http_errc::bad_content_length)
        << value;
  }
}

TEST(http1_parser, two_statements_of_a_length_are_refused) {
  for (const char* fields :
       {"Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nCONTENT-LENGTH: 2\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nA: b\r\ntransfer-encoding: identity\r\n"}) {
    EXPECT_EQ(error_of(with_host(fields)), http_errc::two_lengths) << fields;
  }
}

TEST(http1_parser, only_chunked_is_known_as_a_coding) {
  EXPECT_TRUE(parse(with_host("Transfer-Encoding: chunked\r\n")).is_chunked);
  EXPECT_TRUE(parse(with_host("TRANSFER-ENCODING:\t Chunked \t\r\n")).is_chunked);
  for (const char* value : {"gzip", "identity", "xchunked", "chunkedx", "chunked;q=1",
                            "\"chunked\"", "", "gzip, chunked", "gzip,chunked", "chun ked"}) {
    EXPECT_EQ(error_of(with_host("Transfer-Encoding: " + std::string(value) + "\r\n")),
              http_errc::unknown_coding)
        << value;
  }
  for (const char* value : {"chunked, gzip", "chunked,chunked", "chunked, chunked", "chunked,",
                            "gzip, chunked, chunked"}) {
    EXPECT_EQ(error_of(with_host("Transfer-Encoding: " + std::string(value) + "\r\n")),
              http_errc::bad_coding)
        << value;
  }
  for (const char* value : {"\x0b"
                            "chunked",
                            "chunked\x0c", "chunked\x7f"}) {
    EXPECT_EQ(error_of(with_host("Transfer-Encoding: " + std::string(value) + "\r\n")),
              http_errc::bad_header);
  }
  EXPECT_EQ(http_status(http_errc::unknown_coding), 501);
}

TEST(http1_parser, http_1_0_has_no_codings) {
  EXPECT_EQ(error_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            http_errc::bad_coding);
}

TEST(http1_parser, http_1_1_has_one_host) {
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\nA: b\r\n\r\n"), http_errc::no_host);
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), http_errc::two_hosts);
  EXPECT_EQ(error_of("GET / HTTP/1.0\r\nHost: a\r\nhOST: b\r\n\r\n"), http_errc::two_hosts);
  EXPECT_EQ(parse("GET / HTTP/1.0\r\nA: b\r\n\r\n").status, parse_status::done);
  EXPECT_EQ(parse("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n").target, "http://b/");
}

TEST(http1_parser, refuses_what_is_no_host) {
  for (const char* host : {"", "a b", "a/b", "a\\b", "a@b", "a,b", "a\tb", "a?b", "a#b", "a<b",
                           "a\"b", "a..b", "..", ".", ".:80", ":80", ":", "a:b", "a:80x", "a:80:80", "a:-1",
                           "a[b", "[::1", "[]", "[::1]x", "[::1]]", "[a/b]", "a]", "a{b", "a|b"}) {
    EXPECT_EQ(error_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"),
              http_errc::bad_host)
        << host;
  }
  for (const char* host : {"a", "a.b", "a.b.", ".a", "a:", "a:80", "[::1]", "[::1]:80",
                           "127.0.0.1:80", "\xc3\xa4.de", "a_b", "a-b", "*"}) {
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n").host, host);
  }
}

TEST(http1_parser, connection_says_whether_it_stays) {
  auto stays = [](const char* version, const char* fields) {
    return parse("GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + fields + "\r\n")
        .keep_alive;
  };
  EXPECT_TRUE(stays("1.1", ""));
  EXPECT_FALSE(stays("1.0", ""));
  EXPECT_FALSE(stays("1.1", "Connection: close\r\n"));
  EXPECT_FALSE(stays("1.1", "connection: Upgrade , CLOSE\r\n"));
  EXPECT_TRUE(stays("1.1", "Connection: closed\r\n"));
  EXPECT_TRUE(stays("1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_TRUE(stays("1.0", "Connection: te, keep-alive\r\n"));
}

TEST(http1_parser, close_wins_over_keep_alive) {
  EXPECT_FALSE(parse(with_host("Connection: close, keep-alive\r\n")).keep_alive);
  EXPECT_FALSE(parse(with_host("Connection: keep-alive, close\r\n")).keep_alive);
  EXPECT_FALSE(parse(with_host("Connection: close\r\nConnection: keep-alive\r\n")).keep_alive);
}

TEST(http1_parser, expect_100_continue_is_seen) {
  EXPECT_TRUE(parse(with_host("Expect: 100-Continue\r\n")).expects_continue);
  EXPECT_FALSE(parse(with_host("Expect: 200-ok\r\n")).expects_continue);
  EXPECT_FALSE(parse(with_host("")).expects_continue);
}

TEST(http1_parser, ten_thousand_fields_are_ten_thousand_fields) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 10'000; ++i)
    bytes += "X-" + std::to_string(i) + ": " + std::to_string(i) + "\r\n";
  bytes += "\r\n";
  const outcome whole = parse(bytes);
  ASSERT_EQ(whole.status, parse_status::done);
  ASSERT_EQ(whole.fields.size(), 10'001U);
  EXPECT_EQ(whole.fields[10'000], "X-9999: 9999");
  std::vector<std::size_t> cuts;
  for (std::size_t cut = 0; cut < bytes.size(); cut += 1460) cuts.push_back(cut);
  cuts.push_back(bytes.size());
  EXPECT_EQ(parse_in_pieces(bytes, cuts), whole);
}

TEST(http1_parser, a_long_line_that_never_ends_is_looked_at_once) {
  // A megabyte in single bytes: half a million times as much work if each call began anew.
  std::string bytes = "GET /";
  bytes.reserve(1 << 20);
  http1_parser parser;
  request_head head;
  header_map fields;
  while (bytes.size() < (1 << 20)) {
    bytes += 'a';
    ASSERT_EQ(parser.parse(bytes, head, fields, {}), parse_status::need_more);
  }
}

TEST(http1_parser, says_what_went_wrong_in_nginxs_words) {
  EXPECT_EQ(message(http_errc::bad_method), "client sent invalid method");
  EXPECT_EQ(message(http_errc::bad_header), "client sent invalid header line");
  for (int e = 1; e <= static_cast<int>(http_errc::bad_host); ++e) {
    const auto error = static_cast<http_errc>(e);
    EXPECT_TRUE(message(error).starts_with("client sent ")) << e;
    EXPECT_GE(http_status(error), 400) << e;
  }
}

}  // namespace
}  // namespace troupe::net
