// SPDX-License-Identifier: Apache-2.0
//
// Orders of any bytes, as if somebody had signed them: what is taken can be said again, is then the
// same, and can be judged.
#include "cluster/cluster_state.hpp"

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
  const std::string_view bytes(copy.get(), size);
  if (const auto decoded = cluster::signed_order::decode(bytes)) {
    expect(cluster::signed_order::decode(decoded->encode()) == *decoded);
  }
  const auto decoded = cluster::order::decode(bytes);
  if (!decoded) {
    expect(!decoded.error().reason.empty());
    return 0;
  }
  expect(cluster::order::decode(decoded->encode()) == *decoded);
  // A cluster without keys takes what fits.
  cluster::cluster_state state;
  cluster::change next;
  next.seq = 1;
  next.ordered.bytes = std::string(bytes);
  if (const auto* promotion = std::get_if<cluster::promote_order>(&decoded->body)) {
    next.epoch = promotion->epoch;
  }
  if (std::holds_alternative<cluster::release_order>(decoded->body)) next.release = 1;
  const bool is_good = state.judge(next.ordered, cluster::wall_time()).has_value();
  const bool is_taken = state.apply(next).has_value();
  expect(is_good == is_taken);
  const auto back = cluster::cluster_state::decode(state.encode(), {});
  expect(back && back->encode() == state.encode());
  return 0;
}
