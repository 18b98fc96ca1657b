// SPDX-License-Identifier: Apache-2.0
#include "runtime/release_needs.hpp"

#include "runtime/app_folder.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "cluster/folder_reader.hpp"
#include "runtime/conf/lexer.hpp"

namespace troupe {
namespace {

constexpr std::array<std::string_view, 6> features = {"drain_timeout",  "lua_init_timeout",
                                                      "lua_max_memory", "lua_max_slice",
                                                      "max_live_releases", "on_release"};
static_assert(std::ranges::is_sorted(features));

bool may_need(std::string_view text) {
  return std::ranges::any_of(features, [&](std::string_view each) {
    return text.find(each) != std::string_view::npos;
  });
}

// What is wrong in the file is found by who loads it.
void add_needs(std::set<std::string>& needs, std::string_view text) {
  conf::lexer words(text, {});
  for (;;) {
    const auto statement = words.next();
    if (!statement || statement->end == conf::statement_end::end_of_text) return;
    if (statement->words.empty()) continue;
    const std::string& name = statement->words.front();
    if (std::ranges::binary_search(features, std::string_view(name))) needs.insert(name);
    const bool is_lua = statement->end == conf::statement_end::block_start &&
                        name.ends_with("_by_lua_block");
    if (is_lua && !words.read_lua_block()) return;
  }
}

}  // namespace

std::span<const std::string_view> runtime_features() noexcept { return features; }

tl::expected<cluster::manifest, cluster::refusal> read_app(
    const std::string& folder,
    const std::function<tl::expected<void, cluster::refusal>(const cluster::digest& name,
                                                             std::string_view content)>& take) {
  std::map<cluster::digest, std::string> candidates;  // Their paths are known only at the end.
  auto files = cluster::read_folder(
      folder, {}, [&](const cluster::digest& name, std::string_view content) {
        if (may_need(content)) candidates.insert_or_assign(name, std::string(content));
        return take(name, content);
      });
  if (!files) return files;
  std::set<std::string> needs;
  for (const cluster::manifest_file& file : files->files) {
    if (!file.path.ends_with(".conf")) continue;
    if (const auto found = candidates.find(file.content); found != candidates.end()) {
      add_needs(needs, found->second);
    }
  }
  files->needs.assign(needs.begin(), needs.end());
  return files;
}

tl::expected<cluster::manifest, diagnostic> read_app(const std::string& folder,
                                                     app_contents& contents) {
  if (auto fine = check_app_folder(folder); !fine) return tl::unexpected(std::move(fine.error()));
  auto files = read_app(folder, [&](const cluster::digest& name, std::string_view content) {
    contents.insert_or_assign(name, std::string(content));
    return tl::expected<void, cluster::refusal>();
  });
  if (!files) return tl::unexpected(diagnostic{.reason = files.error().reason});
  return *std::move(files);
}

std::optional<diagnostic> unmet_need(const cluster::manifest& files) {
  for (const std::string& need : files.needs) {
    if (std::ranges::binary_search(features, std::string_view(need))) continue;
    return diagnostic{.reason = "the release needs " + need + ", which this version of troupe does not have",
                      .hint = "`troupe upgrade` this node first, or leave out the directive"};
  }
  return std::nullopt;
}

}  // namespace troupe
