// SPDX-License-Identifier: Apache-2.0
//
// Contents as they travel: frames of any bytes, and frames of any content, whole, damaged and cut.
// What comes out is never longer than it may be, and what went in comes out again.
#include "cluster/compression.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

namespace cluster = troupe::cluster;

constexpr std::uint64_t most = std::uint64_t{1} << 20;

void expect(bool holds) {
  if (!holds) std::abort();
}

/// In memory exactly as big as it is, so that the sanitizer sees a byte read beyond it.
void try_frame(std::string_view frame, std::uint64_t max_bytes) {
  const auto copy = std::make_unique<char[]>(frame.size());
  std::copy(frame.begin(), frame.end(), copy.get());
  const auto content = cluster::decompress({copy.get(), frame.size()}, max_bytes);
  if (!content) return expect(!content.error().reason.empty());
  expect(content->size() <= max_bytes);
  if (content->empty()) return;
  const auto too_long = cluster::decompress(frame, content->size() - 1);
  expect(!too_long && too_long.error().errc == cluster::refusal_errc::too_large);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try_frame(bytes, most);
  if (bytes.size() < 3) return 0;

  const std::string_view content = bytes.substr(3);
  std::string frame = cluster::compress(content);
  expect(frame.size() <= cluster::compressed_bound(content.size()));
  const auto again = cluster::decompress(frame, content.size());
  expect(again && *again == content);
  const std::size_t place = (data[0] | std::size_t{data[1]} << 8) % frame.size();
  expect(!cluster::decompress(std::string_view(frame).substr(0, place), content.size()));
  expect(!cluster::decompress(frame + "more", most));
  frame[place] = static_cast<char>(frame[place] ^ data[2]);
  try_frame(frame, most);
  return 0;
}
