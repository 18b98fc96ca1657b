// SPDX-License-Identifier: Apache-2.0
#include "net/chunked.hpp"

#include <gtest/gtest.h>

#include <string>

namespace troupe::net {
namespace {
using status = chunked_decoder::status;

struct decoded {
  status end = status::need_more;
  std::string body;
  std::string rest;  ///< What was not taken once the status was final.
  bool operator==(const decoded&) const = default;
};

void PrintTo(const decoded& d, std::ostream* out) {
  *out << static_cast<int>(d.end) << " body [" << d.body << "] rest [" << d.rest << "]";
}

// As decode()'s callers do: until the input is empty or the status is final.
void feed(chunked_decoder& decoder, std::string_view in, decoded& to) {
  while (!in.empty() && to.end == status::need_more) {
    std::string_view piece;
    const std::size_t before = in.size();
    to.end = decoder.decode(in, piece);
    to.body += piece;
    ASSERT_TRUE(in.size() < before || to.end != status::need_more) << "no progress";
  }
  to.rest += in;
}

decoded decode(std::string_view in) {
  chunked_decoder decoder;
  decoded d;
  feed(decoder, in, d);
  return d;
}

TEST(chunked_decoder, joins_the_chunks) {
  const decoded d = decode("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext");
  EXPECT_EQ(d.end, status::done);
  EXPECT_EQ(d.body, "hello world");
  EXPECT_EQ(d.rest, "next");
}

TEST(chunked_decoder, an_empty_body_is_one_last_chunk) {
  EXPECT_EQ(decode("0\r\n\r\n"), (decoded{status::done, "", ""}));
  EXPECT_EQ(decode("000\r\n\r\n"), (decoded{status::done, "", ""}));
}

TEST(chunked_decoder, sizes_are_hexadecimal_in_either_case) {
  const std::string data(0x1aF, 'x');
  EXPECT_EQ(decode("1aF\r\n" + data + "\r\n0\r\n\r\n").body, data);
  EXPECT_EQ(decode("0001Af\r\n" + data + "\r\n0\r\n\r\n").body, data);
}

TEST(chunked_decoder, data_may_look_like_framing) {
  EXPECT_EQ(decode("7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n").body, "0\r\n\r\n\r\n");
}

TEST(chunked_decoder, extensions_and_trailers_are_dropped) {
  const decoded d = decode(
      "3;a=b;c=\"d e\"\r\nabc\r\n3 ; x\r\ndef\r\n0;last\r\nX-Sum: 1\r\nX-Other:\t2 \r\n\r\nGET");
  EXPECT_EQ(d, (decoded{status::done, "abcdef", "GET"}));
  EXPECT_EQ(decode("3 \r\nabc\r\n0\t\r\n\r\n").body, "abc");
}

const char* const samples[] = {
    "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\nC: d\r\n\r\nGET / HTTP/1.1",
    "0\r\n\r\n",
    "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n00000\r\n\r\n\r\n",
    "5\r\nhelloX\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "g\r\n",
    "1\r\na\r\n0\r\n\rX",
    "3 x\r\nabc\r\n",
};

TEST(chunked_decoder, cut_at_any_two_bytes_gives_what_the_whole_gives) {
  for (const std::string_view sample : samples) {
    const decoded whole = decode(sample);
    for (std::size_t a = 0; a <= sample.size(); ++a) {
      for (std::size_t b = a; b <= sample.size(); ++b) {
        chunked_decoder decoder;
        decoded d;
        feed(decoder, sample.substr(0, a), d);
        feed(decoder, sample.substr(a, b - a), d);
        feed(decoder, sample.substr(b), d);
        ASSERT_EQ(d, whole) << sample << " at " << a << ", " << b;
      }
    }
  }
}

TEST(chunked_decoder, byte_by_byte_gives_what_the_whole_gives) {
  for (const std::string_view sample : samples) {
    chunked_decoder decoder;
    decoded d;
    for (const char& c : sample) feed(decoder, {&c, 1}, d);
    EXPECT_EQ(d, decode(sample)) << sample;
  }
}

TEST(chunked_decoder, what_ends_too_early_is_not_done) {
  const std::string_view whole = "3\r\nabc\r\n0\r\nT: x\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(decode(whole.substr(0, size)).end, status::need_more) << size;
  }
  EXPECT_EQ(decode(whole).end, status::done);
}

TEST(chunked_decoder, refuses_what_is_no_chunk) {
  for (const std::string_view in : {"\r\n",
                                    "x\r\n",
                                    "-1\r\n",
                                    "+1\r\n",
                                    " 1\r\n",
                                    "\t1\r\n",
                                    "0x1\r\n",
                                    "1g\r\n",
                                    ";\r\n",
                                    "1\n",
                                    "1\r\r\n",
                                    "1\ra",
                                    "1 2\r\n",
                                    "1 x\r\n",
                                    "1\t1\r\n",
                                    "1;a\x01\r\n",
                                    "1;a\n",
                                    "1;\x7f",
                                    "1\r\nab",
                                    "1\r\na\n",
                                    "1\r\na\ra",
                                    "1\r\n\r\n\r\n\r",
                                    "0\n",
                                    "0\r\n\n",
                                    "0\r\n\rx",
                                    "0\r\nA: b\n",
                                    "0\r\nA: b\rx",
                                    "0\r\n folded\r\n",
                                    "0\r\nA: \x01\r\n",
                                    "0\r\n:\r\n",
                                    "0\r\nA\r\n",
                                    "0\r\nA B: c\r\n",
                                    "0\r\n\x7f: x\r\n"}) {
    EXPECT_EQ(decode(in).end, status::failed) << in;
  }
  EXPECT_EQ(decode(std::string_view("1;a\0\r\n", 6)).end, status::failed);
  EXPECT_EQ(decode(std::string_view("0\r\nA: \0\r\n", 9)).end, status::failed);
}

TEST(chunked_decoder, a_size_that_overflows_is_refused) {
  EXPECT_EQ(decode("7fffffffffffffff\r\nabc").body, "abc");
  EXPECT_EQ(decode("8000000000000000\r\n").end, status::failed);
  EXPECT_EQ(decode("ffffffffffffffff\r\n").end, status::failed);
  EXPECT_EQ(decode("10000000000000000\r\n").end, status::failed);
  EXPECT_EQ(decode("10000000000000005\r\nhello\r\n0\r\n\r\n").end, status::failed);
}

TEST(chunked_decoder, a_size_of_endless_zeros_is_refused) {
  EXPECT_EQ(decode(std::string(1'000'000, '0')).end, status::failed);
}

TEST(chunked_decoder, endless_extensions_are_refused) {
  EXPECT_EQ(decode("1;" + std::string(10'000, 'x') + "\r\na\r\n0\r\n\r\n").end, status::done);
  EXPECT_EQ(decode("1;" + std::string(1'000'000, 'x')).end, status::failed);
  EXPECT_EQ(decode("1" + std::string(1'000'000, ' ')).end, status::failed);
  // Small ones, each with a byte of data.
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "1;" + std::string(100, 'x') + "\r\na\r\n";
  EXPECT_EQ(decode(many).end, status::failed);
}

TEST(chunked_decoder, extensions_in_proportion_to_the_data_are_taken) {
  std::string many;
  const std::string data(1000, 'd');
  for (int i = 0; i < 2000; ++i)
    many += "3e8;signature=" + std::string(64, 'f') + "\r\n" + data + "\r\n";
  const decoded d = decode(many + "0\r\n\r\n");
  EXPECT_EQ(d.end, status::done);
  EXPECT_EQ(d.body.size(), 2'000'000U);
}

TEST(chunked_decoder, endless_trailers_are_refused) {
  EXPECT_EQ(decode("0\r\nA: " + std::string(10'000, 'x') + "\r\n\r\n").end, status::done);
  EXPECT_EQ(decode("0\r\nA: " + std::string(1'000'000, 'x')).end, status::failed);
  std::string many = "0\r\n";
  for (int i = 0; i < 100'000; ++i) many += "A:\r\n";
  EXPECT_EQ(decode(many).end, status::failed);
  // What the data had left over does not count for trailers.
  const std::string data(1'000'000, 'd');
  EXPECT_EQ(decode("f4240\r\n" + data + "\r\n" + many).end, status::failed);
}

TEST(chunked_decoder, an_end_stays_an_end) {
  chunked_decoder decoder;
  std::string_view piece;
  std::string_view in = "0\r\n\r\n";
  EXPECT_EQ(decoder.decode(in, piece), status::done);
  EXPECT_EQ(decoder.decode(in, piece), status::done);
  in = "5\r\nhello";
  EXPECT_EQ(decoder.decode(in, piece), status::done);
  EXPECT_EQ(in.size(), 8U);
  decoder.reset();
  in = "x";
  EXPECT_EQ(decoder.decode(in, piece), status::failed);
  in = "0\r\n\r\n";
  EXPECT_EQ(decoder.decode(in, piece), status::failed);
}

TEST(write_chunk_head, writes_the_size_in_hexadecimal) {
  auto head = [](std::size_t size) {
    char text[18];
    return std::string(text, write_chunk_head(text, size));
  };
  EXPECT_EQ(head(0), "0\r\n");
  EXPECT_EQ(head(9), "9\r\n");
  EXPECT_EQ(head(0x10), "10\r\n");
  EXPECT_EQ(head(0x12ab), "12ab\r\n");
  EXPECT_EQ(head(std::numeric_limits<std::size_t>::max()), "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace troupe::net
