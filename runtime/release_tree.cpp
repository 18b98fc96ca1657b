// SPDX-License-Identifier: Apache-2.0
#include "runtime/release_tree.hpp"

#include <cerrno>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace troupe {
namespace {

// Enough to tell trees apart, and so short that Lua shows whole paths in its messages.
constexpr std::size_t name_digits = 16;

namespace fs = std::filesystem;
using cluster::refusal;
using cluster::refusal_errc;

constexpr std::string_view replacement = ".troupe-new";

std::set<std::string, std::less<>> folders_of(const cluster::manifest& wanted) {
  std::set<std::string, std::less<>> result;
  for (const auto& file : wanted.files) {
    const std::string_view path = file.path;
    for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      result.emplace(path.substr(0, slash));
    }
  }
  return result;
}

/// Whether a tree's file is the content, by inode or, where it was copied or the content has been
/// written anew, by its bytes.
bool is_content(const std::string& file, const std::string& content,
                const cluster::manifest_file& wanted) {
  struct stat found;
  struct stat expected;
  if (lstat(file.c_str(), &found) != 0 || stat(content.c_str(), &expected) != 0) return false;
  if (found.st_ino == expected.st_ino && found.st_dev == expected.st_dev) return true;
  if (!S_ISREG(found.st_mode) || static_cast<std::uint64_t>(found.st_size) != wanted.size ||
      ((found.st_mode & S_IXUSR) != 0) != wanted.executable) {
    return false;
  }
  const auto bytes = cluster::read_whole(file, wanted.size);
  return bytes && cluster::digest::of(*bytes) == wanted.content;
}

tl::expected<void, refusal> link_or_copy(const cluster::disk& files, const std::string& content,
                                         const std::string& file,
                                         const cluster::manifest_file& wanted) {
  auto linked = files.link(content, file);
  if (linked) return {};
  // Too many links to one file, a file system without them, or a policy against them
  // (fs.protected_hardlinks); a full disk is neither.
  auto bytes = cluster::read_whole(content, wanted.size);
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  struct stat original;
  if (stat(content.c_str(), &original) != 0) {
    return tl::unexpected(cluster::io_refusal("stat", content, errno));
  }
  if (auto written = files.write_new(file, *bytes, wanted.executable ? 0555 : 0444); !written) {
    return written;
  }
  return files.set_time(file, original.st_mtim);
}

tl::expected<void, refusal> fill(const cluster::disk& files, const cluster::blob_store& contents,
                                 const cluster::manifest& wanted, const std::string& folder,
                                 bool is_new) {
  if (auto made = files.make_folder(folder, 0755); !made) return made;
  for (const std::string& inner : folders_of(wanted)) {
    if (auto made = files.make_folder(folder + '/' + inner, 0755); !made) return made;
  }
  for (const auto& file : wanted.files) {
    if (auto fine = contents.check(file.content, file.size); !fine) {
      fine.error().reason = file.path + ": " + fine.error().reason;
      return fine;
    }
    auto content = contents.path_of(file.content, file.executable);
    if (!content) return tl::unexpected(std::move(content.error()));
    const std::string path = folder + '/' + file.path;
    if (is_new) {
      if (auto done = link_or_copy(files, *content, path, file); !done) return done;
      continue;
    }
    if (is_content(path, *content, file)) continue;
    // Beside it and over it, so that who reads the tree meanwhile finds one or the other.
    const std::string fresh = folder + std::string(replacement);
    if (auto gone = files.remove(fresh); !gone) return gone;
    if (auto done = link_or_copy(files, *content, fresh, file); !done) return done;
    if (auto done = files.rename(fresh, path); !done) return done;
    // rename() leaves both names if they are one file already.
    if (auto gone = files.remove(fresh); !gone) return gone;
  }
  return {};
}

/// Removes what the manifest does not name, or what is of another kind.
tl::expected<void, refusal> remove_strangers(const cluster::disk& files,
                                             const cluster::manifest& wanted,
                                             const std::string& folder) {
  const auto folders = folders_of(wanted);
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  std::vector<std::string> strangers;
  for (const fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
    const std::string whole = at->path().string();
    const std::string_view path = std::string_view(whole).substr(folder.size() + 1);
    std::error_code ignored;
    const auto kind = at->symlink_status(ignored).type();
    if (kind == fs::file_type::directory) {
      if (folders.contains(path)) continue;
      at.disable_recursion_pending();
      strangers.push_back(whole);
    } else if (kind != fs::file_type::regular || wanted.find(path) == nullptr) {
      strangers.push_back(whole);
    }
  }
  if (error) return tl::unexpected(cluster::io_refusal("read", folder, error.value()));
  for (const std::string& stranger : strangers) {
    if (auto gone = files.remove_all(stranger); !gone) return gone;
  }
  return {};
}

}  // namespace

std::string tree_name(const cluster::digest& manifest) {
  return manifest.hex().substr(0, name_digits);
}

tl::expected<std::string, refusal> lay_out_tree(const cluster::disk& files,
                                                const cluster::blob_store& contents,
                                                const cluster::manifest& wanted,
                                                const std::string& trees) {
  if (auto fine = wanted.check(); !fine) return tl::unexpected(std::move(fine.error()));
  const std::string folder = trees + '/' + tree_name(wanted.id());
  struct stat found;
  if (lstat(folder.c_str(), &found) == 0) {
    if (S_ISDIR(found.st_mode)) {
      auto done = remove_strangers(files, wanted, folder);
      if (done) done = fill(files, contents, wanted, folder, false);
      if (!done) return tl::unexpected(std::move(done.error()));
      return folder + '/';
    }
    if (auto gone = files.remove(folder); !gone) return tl::unexpected(std::move(gone.error()));
  }
  const std::string fresh = folder + std::string(unfinished_tree_suffix);
  auto done = files.remove_all(fresh);
  if (done) done = fill(files, contents, wanted, fresh, true);
  if (done) done = files.rename(fresh, folder);
  if (!done) {
    std::error_code ignored;
    fs::remove_all(fresh, ignored);
    return tl::unexpected(std::move(done.error()));
  }
  return folder + '/';
}

}  // namespace troupe
