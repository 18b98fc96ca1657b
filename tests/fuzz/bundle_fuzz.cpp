// SPDX-License-Identifier: Apache-2.0
//
// Bundles of any bytes: the contents that are taken lie in the bytes given, are what the manifest
// names, and come back the same when they are written again.
#include "cluster/bundle.hpp"

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
  const auto copy = std::make_unique<char[]>(size);
  std::copy(data, data + size, copy.get());
  const auto decoded = cluster::bundle::decode({copy.get(), size});
  if (!decoded) {
    expect(!decoded.error().reason.empty());
    return 0;
  }
  std::size_t found = 0;
  for (const auto& each : decoded->contents) {
    const auto& name = each.first;
    const auto& content = each.second;
    expect(content.data() >= copy.get() && content.data() + content.size() <= copy.get() + size);
    expect(cluster::digest::of(content) == name);
    const auto named = [&](const auto& file) {
      return file.content == name && file.size == content.size();
    };
    expect(std::ranges::any_of(decoded->files.files, named));
    ++found;
  }
  const auto missing = decoded->missing();
  for (const auto& name : missing) expect(!decoded->contents.contains(name));
  const std::string again = decoded->encode();
  const auto back = cluster::bundle::decode(again);
  expect(back && back->files == decoded->files && back->contents == decoded->contents);
  expect(back->contents.size() == found && back->missing() == missing);
  return 0;
}
