// SPDX-License-Identifier: Apache-2.0
#include "runtime/release_diff.hpp"

#include "runtime/unified_diff.hpp"

namespace troupe {

tl::expected<std::vector<file_diff>, cluster::refusal> diff_of(const cluster::manifest& before,
                                                               const cluster::manifest& after,
                                                               const content_source& get) {
  std::vector<file_diff> result;
  const auto content = [&](const cluster::manifest_file* file) {
    return file == nullptr ? tl::expected<std::string, cluster::refusal>() : get(file->content);
  };
  for (const auto& changed : cluster::compare(before, after)) {
    const auto* old_file = before.find(changed.path);
    const auto* new_file = after.find(changed.path);
    const auto old_bytes = content(old_file);
    if (!old_bytes) return tl::unexpected(old_bytes.error());
    const auto new_bytes = content(new_file);
    if (!new_bytes) return tl::unexpected(new_bytes.error());

    file_diff one{.path = changed.path, .change = changed.change, .binary = false, .text = {}};
    const std::string old_name = old_file != nullptr ? "a/" + changed.path : "/dev/null";
    const std::string new_name = new_file != nullptr ? "b/" + changed.path : "/dev/null";
    if (old_file != nullptr && new_file != nullptr &&
        old_file->executable != new_file->executable) {
      one.text = "old mode " + std::string(old_file->executable ? "0755" : "0644") + "\nnew mode " +
                 (new_file->executable ? "0755" : "0644") + '\n';
    }
    one.binary = is_binary(*old_bytes) || is_binary(*new_bytes);
    if (!one.binary) {
      one.text += unified_diff(*old_bytes, *new_bytes, old_name, new_name);
    } else if (*old_bytes != *new_bytes) {
      one.text += "Binary files " + old_name + " and " + new_name + " differ\n";
    }
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace troupe
