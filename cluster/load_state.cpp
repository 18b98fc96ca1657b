// SPDX-License-Identifier: Apache-2.0
#include "cluster/load_state.hpp"

namespace troupe::cluster {
namespace {

constexpr std::size_t read_bytes = 1 << 20;

}  // namespace

tl::expected<cluster_state, refusal> load_state(const change_log& log,
                                                const std::map<public_key, trusted_key>& root) {
  cluster_state state(root);
  auto snapshot = log.snapshot();
  if (!snapshot) return tl::unexpected(std::move(snapshot.error()));
  if (*snapshot) {
    auto decoded = cluster_state::decode(**snapshot, root);
    if (!decoded) return tl::unexpected(std::move(decoded.error()));
    state = *std::move(decoded);
  }
  while (state.at() != log.head()) {
    auto list = log.read(state.at().seq, read_bytes);
    if (!list) return tl::unexpected(std::move(list.error()));
    if (list->empty()) {
      return tl::unexpected(refusal{.errc = refusal_errc::damaged,
                                    .reason = "the log does not lead to its own head"});
    }
    for (const change& one : *list) {
      if (auto done = state.apply(one, signature_check::done); !done) {
        return tl::unexpected(std::move(done.error()));
      }
    }
  }
  return state;
}

}  // namespace troupe::cluster
