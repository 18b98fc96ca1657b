// SPDX-License-Identifier: Apache-2.0
//
// Two versions of a small app and what a store has to hold of them, for the tests that break
// things.
//
// Thread   one.
// Errors   EXPECT fails in the test that called.
// Called   by tests/runtime/release_store_*_test.cpp.
#pragma once

#include "runtime/release_store.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

namespace troupe::tests {

using app_files = std::map<std::string, std::string>;  // a path with "bin/" is executable

inline const app_files first_app{{"nginx.conf", "server { listen 8080; }"},
                                 {"lua/a.lua", "return 1\n"},
                                 {"html/index.html", "<p>one"}};
inline const app_files second_app{{"nginx.conf", "server { listen 8080; }"},
                                  {"lua/a.lua", "return 2\n"},
                                  {"lua/deep/er/b.lua", "return 'b'\n"},
                                  {"bin/run", "#!/bin/sh\n"}};

inline cluster::manifest manifest_of(const app_files& app) {
  cluster::manifest result;
  for (const auto& [path, content] : app) {
    result.files.push_back({.path = path,
                            .executable = path.starts_with("bin/"),
                            .size = content.size(),
                            .content = cluster::digest::of(content)});
  }
  return result;
}

/// What deployment does to store one. @return its number, or why not.
inline tl::expected<int, std::string> apply(release_store& store, const app_files& app,
                                            int parent) {
  const auto hold = store.blobs().keep_all();
  for (const auto& [path, content] : app) {
    if (auto put = store.blobs().put(content); !put) return tl::unexpected(put.error().reason);
  }
  const cluster::manifest files = manifest_of(app);
  if (auto tree = store.tree(files); !tree) return tl::unexpected(text(tree.error()));
  const auto number = store.commit({.manifest = files,
                                    .author = "test",
                                    .message = "m",
                                    .parent = parent,
                                    .time = std::chrono::system_clock::now()});
  if (!number) return tl::unexpected(text(number.error().problem));
  return *number;
}

/// Both halves, as deployment does them.
inline tl::expected<pruned, diagnostic> prune(release_store& store, std::size_t keep,
                                              const std::set<int>& in_use,
                                              const std::set<cluster::digest>& keep_trees = {}) {
  auto left = store.forget(keep, in_use, keep_trees);
  if (!left) return tl::unexpected(left.error());
  return store.remove(*std::move(left));
}

/// Whether a release is all there: its record, its contents, its tree.
inline void expect_whole(release_store& store, int number, const app_files& app) {
  const auto files = store.manifest_of(number);
  ASSERT_TRUE(files) << text(files.error());
  EXPECT_EQ(*files, manifest_of(app));
  for (const auto& [path, content] : app) {
    const auto bytes = store.read(number, path);
    ASSERT_TRUE(bytes) << text(bytes.error());
    EXPECT_EQ(*bytes, content);
  }
  const auto tree = store.tree(*files);
  ASSERT_TRUE(tree) << text(tree.error());
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*tree)) {
    if (entry.is_directory()) continue;
    ++found;
    const std::string path = entry.path().string().substr(tree->size());
    ASSERT_TRUE(app.contains(path)) << path;
    EXPECT_EQ(read_file(entry.path()), app.at(path)) << path;
    EXPECT_EQ((entry.status().permissions() & std::filesystem::perms::owner_exec) !=
                  std::filesystem::perms::none,
              path.starts_with("bin/"))
        << path;
  }
  EXPECT_EQ(found, app.size());
}

}  // namespace troupe::tests
