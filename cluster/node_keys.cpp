// SPDX-License-Identifier: Apache-2.0
#include "cluster/node_keys.hpp"

#include "cluster/disk.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {
namespace {

std::string folder_of(const std::string& data_folder) {
  return data_folder + "/keys";
}
std::string trust_file(const std::string& data_folder) {
  return folder_of(data_folder) + "/trust.toml";
}

}  // namespace

tl::expected<node_keys, refusal> node_keys::load_or_make(const std::string& data_folder) {
  const std::string folder = folder_of(data_folder);
  if (auto made = disk().make_folder(folder, 0700); !made) return tl::unexpected(made.error());
  auto link = curve_pair::load_or_make(folder + "/node.key");
  if (!link) return tl::unexpected(link.error());
  auto signing = signing_key::load(folder + "/signing.key");
  if (!signing && signing.error().errc == refusal_errc::missing) {
    signing = signing_key::make();
    if (signing) {
      if (auto saved = signing->save(folder + "/signing.key"); !saved) {
        return tl::unexpected(saved.error());
      }
    }
  }
  if (!signing) return tl::unexpected(signing.error());
  return node_keys{*std::move(link), *std::move(signing)};
}

tl::expected<std::optional<trust_root>, refusal> node_keys::trust(const std::string& data_folder) {
  auto found = trust_root::load(trust_file(data_folder));
  if (!found && found.error().errc == refusal_errc::missing) return std::nullopt;
  if (!found) return tl::unexpected(found.error());
  return std::optional(*std::move(found));
}

tl::expected<void, refusal> node_keys::keep_trust(const std::string& data_folder,
                                                  const trust_root& root) {
  const std::string file = trust_file(data_folder);
  if (auto made = disk().make_folder(folder_of(data_folder), 0700); !made) return made;
  const auto there = trust(data_folder);
  if (!there) return tl::unexpected(there.error());
  if (!*there) return root.save(file);
  const bool is_same_cluster = std::ranges::any_of(
      root.keys, [&](const auto& one) { return (*there)->keys.contains(one.first); });
  if (!is_same_cluster) {
    return tl::unexpected(refusal{.errc = refusal_errc::conflict,
                                  .reason = "this node trusts the keys of another cluster (\"" +
                                            file +
                                            "\"); give it another --data, or remove that file",
                                  .file = file});
  }
  return {};
}

}  // namespace troupe::cluster
