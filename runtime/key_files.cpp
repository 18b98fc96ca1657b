// SPDX-License-Identifier: Apache-2.0
#include "runtime/key_files.hpp"

#include <unistd.h>

namespace troupe {

tl::expected<std::optional<cluster::signing_key>, cluster::refusal> signing_key_in(
    const std::string& folder) {
  const std::string path = folder + "/signing.key";
  if (folder.empty() || access(path.c_str(), F_OK) != 0) return std::nullopt;
  auto key = cluster::signing_key::load(path);
  if (!key) return tl::unexpected(key.error());
  return std::move(*key);
}

}  // namespace troupe
