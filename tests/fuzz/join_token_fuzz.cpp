// SPDX-License-Identifier: Apache-2.0
//
// Join tokens of any text, and of any bytes with the right check sum; trust.toml of any text.
#include "cluster/base64url.hpp"
#include "cluster/join_token.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

namespace cluster = troupe::cluster;

void expect(bool holds) {
  if (!holds) std::abort();
}

void try_token(std::string_view text) {
  const auto token = cluster::join_token::parse(text);
  if (!token) return expect(!token.error().reason.empty());
  expect(!token->trust.keys.empty());
  const auto again = cluster::join_token::parse(token->text());
  expect(again && *again == *token);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto copy = std::make_unique<char[]>(size);
  std::copy(data, data + size, copy.get());
  const std::string_view bytes(copy.get(), size);
  try_token(bytes);
  std::string checked(bytes);
  checked += cluster::digest::of(bytes).raw().substr(0, 4);
  try_token("troupe1-" + cluster::to_base64url(checked));
  if (const auto raw = cluster::from_base64url(bytes)) {
    expect(cluster::to_base64url(*raw) == bytes);
  }
  if (const auto trust = cluster::trust_root::parse(bytes, "trust.toml")) {
    const auto again = cluster::trust_root::parse(trust->text(), "trust.toml");
    expect(again && *again == *trust);
  } else {
    expect(!trust.error().reason.empty());
  }
  return 0;
}
