// SPDX-License-Identifier: Apache-2.0
//
// Messages and changes of any bytes: what is taken can be said again and is then the same.
#include "cluster/messages.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace cluster = troupe::cluster;
  // Exactly as big as it is, so that the sanitizer sees a byte read beyond it.
  const auto copy = std::make_unique<char[]>(size);
  std::copy(data, data + size, copy.get());
  const std::string_view bytes(copy.get(), size);
  if (const auto decoded = cluster::decode_message(bytes)) {
    const auto again = cluster::decode_message(cluster::encode(*decoded));
    expect(again && *again == *decoded);
    expect(!cluster::name_of(*decoded).empty());
  } else {
    expect(!decoded.error().reason.empty());
  }
  if (const auto decoded = cluster::change::decode(bytes)) {
    expect(decoded->encode() == bytes);
    expect(decoded->after().seq == decoded->seq);
  } else {
    expect(!decoded.error().reason.empty());
  }
  return 0;
}
