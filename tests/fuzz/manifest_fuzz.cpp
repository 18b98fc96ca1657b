// SPDX-License-Identifier: Apache-2.0
//
// Manifests of any bytes: what is taken is what would be written, byte for byte, and holds what it
// promises: safe paths, in order, none a folder of another.
#include "cluster/manifest.hpp"

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
  const auto decoded = cluster::manifest::decode(bytes);
  if (!decoded) {
    expect(!decoded.error().reason.empty());
    return 0;
  }
  expect(decoded->encode() == bytes && decoded->id() == cluster::digest::of(bytes));
  expect(decoded->check().has_value());
  std::string_view before;
  for (const auto& file : decoded->files) {
    expect(before < file.path && file.path.front() != '/');
    expect(("/" + file.path + "/").find("/../") == std::string::npos);
    expect(decoded->find(file.path) == &file);
    before = file.path;
  }
  expect(cluster::compare(*decoded, *decoded).empty());
  expect(cluster::compare({}, *decoded).size() == decoded->files.size());
  return 0;
}
