// SPDX-License-Identifier: Apache-2.0
//
// Chunked bodies of any bytes: however they are cut, the data and the end are those of the whole;
// pieces lie in the bytes given; and what the encoder frames comes out as it went in.
//
// The first byte of an input seeds the cuts; the rest are the bytes.
#include "net/chunked.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

namespace net = troupe::net;
using status = net::chunked_decoder::status;

void expect(bool holds) {
  if (!holds) std::abort();
}

struct outcome {
  status last = status::need_more;
  std::string data;
  std::size_t taken = 0;  ///< Bytes up to the end of the body; of a failed one they say nothing.
  bool operator==(const outcome&) const = default;
};

outcome decode(std::string_view bytes, std::uint32_t seed, bool cut) {
  net::chunked_decoder decoder;
  outcome o;
  std::size_t seen = 0;
  while (seen < bytes.size() && o.last == status::need_more) {
    seed = seed * 1664525 + 1013904223;
    const std::size_t most = cut ? 1 + (seed >> 16) % 23 : bytes.size();
    const std::size_t size = std::min(most, bytes.size() - seen);
    // Exactly as big as it is, so that the sanitizer sees a byte read beyond it.
    const auto copy = std::make_unique<char[]>(size);
    bytes.copy(copy.get(), size, seen);
    std::string_view in(copy.get(), size);
    while (!in.empty() && o.last == status::need_more) {
      const std::size_t before = in.size();
      std::string_view piece;
      o.last = decoder.decode(in, piece);
      expect(piece.empty() ||
             (piece.data() >= copy.get() && piece.data() + piece.size() <= copy.get() + size));
      expect(o.last != status::need_more || in.size() < before);
      o.data += piece;
      o.taken += before - in.size();
    }
    seen += size;
  }
  if (o.last == status::failed) o.taken = 0;
  std::string_view more = "0\r\n\r\n";
  std::string_view piece;
  // The end stays the end, and a failure a failure.
  if (o.last != status::need_more) expect(decoder.decode(more, piece) == o.last && piece.empty());
  return o;
}

void encode_and_back(std::string_view bytes, std::uint32_t seed) {
  std::string framed;
  for (std::size_t at = 0; at < bytes.size();) {
    seed = seed * 1664525 + 1013904223;
    const auto part = bytes.substr(at, 1 + (seed >> 16) % 300);
    char head[18];
    framed.append(head, net::write_chunk_head(head, part.size()));
    framed += part;
    framed += "\r\n";
    at += part.size();
  }
  framed += "0\r\n\r\n";
  const std::size_t size = framed.size();
  framed += "next";
  const outcome o = decode(framed, seed, true);
  expect(o.last == status::done && o.data == bytes && o.taken == size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const outcome expected = decode(bytes, 0, false);
  expect(decode(bytes, data[0], true) == expected);
  expect(expected.data.size() <= bytes.size());
  encode_and_back(bytes, data[0]);
  return 0;
}
