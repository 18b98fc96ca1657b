// SPDX-License-Identifier: Apache-2.0
//
// Snapshots of any bytes, by a node without keys and by one with a key that nobody has: what the
// first takes is what it would write, byte for byte; the second trusts nobody but that key.
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
  const auto decoded = cluster::cluster_state::decode(bytes, {});
  if (decoded) {
    expect(decoded->encode() == bytes);
    for (const auto& each : decoded->apps()) {
      const auto& app = each.second;
      const std::uint32_t active = app.active_on("a", {{"zone", "eu"}});
      expect(active == 0 || app.releases.contains(active));
      expect(!app.under_way || app.releases.contains(app.under_way->release));
    }
    (void)decoded->config_of("a", {{"zone", "eu"}});
  } else {
    expect(!decoded.error().reason.empty());
  }
  const cluster::public_key nobody{};
  const auto guarded = cluster::cluster_state::decode(bytes, {{nobody, {8, "nobody"}}});
  if (guarded) {
    expect(guarded->trusted().size() == 1 && guarded->controller().empty());
    for (const auto& each : guarded->apps()) expect(each.second.active.empty());
    expect(guarded->config().empty());
  }
  return 0;
}
