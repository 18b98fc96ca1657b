// SPDX-License-Identifier: Apache-2.0
#include "cluster/inline_blobs.hpp"

#include "cluster/manifest.hpp"

#include <set>

namespace troupe::cluster {
namespace {

/// Of all together, since to find out takes compressing them; text seldom shrinks below a tenth.
constexpr std::uint64_t max_plain_bytes = 10 * inline_blob_bytes;

std::vector<manifest_file> files_of(const blob_source& blobs, const digest& name) {
  const auto bytes = blobs.get(name);
  if (!bytes) return {};
  auto decoded = manifest::decode(*bytes);
  return decoded ? std::move(decoded->files) : std::vector<manifest_file>();
}

/// The manifest of the release that a new one was made from; every node that runs it has its files.
const digest* parent_of(const cluster_state& state, const order& what, std::uint32_t release) {
  const auto app = state.apps().find(what.app);
  if (app == state.apps().end()) return nullptr;
  const auto& all = app->second.releases;
  const auto made = all.find(release);
  const auto parent = made != all.end() ? all.find(made->second.parent) : all.end();
  return parent != all.end() ? &parent->second.manifest : nullptr;
}

}  // namespace

std::vector<sent_blob> inline_blobs(const order& what, const change& in, const cluster_state& state,
                                    const blob_source& blobs, read_through_blobs& served) {
  std::vector<sent_blob> result;
  const auto* release = std::get_if<release_order>(&what.body);
  if (release == nullptr) return result;
  std::size_t room = inline_blob_bytes;
  const auto add = [&](const digest& name) {
    const std::string* bytes = served.compressed(name);
    if (bytes == nullptr || bytes->size() > room) return;
    room -= bytes->size();
    result.push_back({name, *bytes});
  };
  add(release->manifest);
  std::set<digest> known{release->manifest};
  if (const digest* parent = parent_of(state, what, in.release)) {
    for (const manifest_file& file : files_of(blobs, *parent)) known.insert(file.content);
  }
  std::uint64_t left = max_plain_bytes;
  for (const manifest_file& file : files_of(blobs, release->manifest)) {
    if (file.size > left || !known.insert(file.content).second) continue;
    left -= file.size;
    add(file.content);
  }
  return result;
}

}  // namespace troupe::cluster
