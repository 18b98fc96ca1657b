// SPDX-License-Identifier: Apache-2.0
#include "runtime/app_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr const char* what_an_app_is =
    "an app is a folder with an nginx.conf; `server { listen 8080; }` is one";

std::string conf_of(const fs::path& folder) {
  std::error_code error;
  for (const char* candidate : {"nginx.conf", "conf/nginx.conf"}) {
    if (const fs::path conf = folder / candidate; fs::is_regular_file(conf, error)) return conf;
  }
  return {};
}

// "`content_by_lua_file main.lua;` of one"
std::string conf_for(const std::string& lua_file) {
  return "Lua is run by an nginx.conf beside it: `server { listen 8080; location / { "
         "content_by_lua_file " + lua_file + "; } }`";
}

// What the user of a folder without a configuration may have meant.
std::string hint_for(const fs::path& folder) {
  std::vector<std::string> apps, confs, scripts;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const fs::path& path = at->path();
    std::error_code ignored;
    if (at->is_directory(ignored)) {
      if (!conf_of(path).empty()) apps.push_back(path.filename());
    } else if (path.extension() == ".conf") {
      confs.push_back(path.filename());
    } else if (path.extension() == ".lua") {
      scripts.push_back(path.filename());
    }
  }
  std::ranges::sort(apps);
  if (!apps.empty()) return "there is one in its folder " + apps.front() + "; name that";
  if (confs.size() == 1) return "call " + confs.front() + " nginx.conf, or name it: one conf file is served in place";
  if (!scripts.empty()) {
    const bool has_main = std::ranges::find(scripts, "main.lua") != scripts.end();
    return conf_for(has_main ? "main.lua" : *std::ranges::min_element(scripts));
  }
  return what_an_app_is;
}

// Why a path is neither a folder nor a file that can be read.
diagnostic refusal_of(const std::string& path, const fs::path& whole, fs::file_type kind,
                      const std::error_code& error) {
  diagnostic why{.file = path, .reason = {}, .hint = what_an_app_is};
  std::error_code ignored;
  if (path.empty()) {
    why.reason = "the path is empty";
  } else if (kind == fs::file_type::not_found && fs::is_symlink(whole, ignored)) {
    why.reason = "the link leads to " + fs::read_symlink(whole, ignored).string() + ", where nothing is";
  } else if (kind == fs::file_type::not_found) {
    // The first folder of the way that is missing, or is none.
    fs::path there = whole;
    while (there.has_relative_path() && !fs::exists(there, ignored)) there = there.parent_path();
    why.reason = "no such file or folder";
    why.hint = fs::is_directory(there, ignored)
                   ? there.string() + " is there, " + fs::relative(whole, there, ignored).string() + " is not in it"
                   : there.string() + " is a file, no folder";
  } else if (kind == fs::file_type::none) {
    why.reason = error.message();
    why.hint.clear();
  } else {
    why.reason = "this is neither a folder nor a file";
  }
  return why;
}

fs::path whole_path(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

tl::expected<app_folder, diagnostic> find_app(const std::string& path) {
  const fs::path whole = whole_path(path);
  std::error_code error;
  const auto kind = path.empty() ? fs::file_type::not_found : fs::status(whole, error).type();
  if (kind == fs::file_type::directory) {
    if (std::string conf = conf_of(whole); !conf.empty()) {
      return app_folder{.prefix = whole / "", .conf = std::move(conf)};
    }
    return tl::unexpected(
        diagnostic{.file = path,
                   .reason = "neither nginx.conf nor conf/nginx.conf is in this folder",
                   .hint = hint_for(whole)});
  }
  if (kind != fs::file_type::regular) {
    return tl::unexpected(refusal_of(path, whole, kind, error));
  }
  if (path.ends_with('/')) {
    return tl::unexpected(diagnostic{
        .file = path, .reason = "this is a file, no folder", .hint = "without the slash it is served"});
  }
  if (whole.extension() == ".lua") {
    return tl::unexpected(diagnostic{.file = path,
                                     .reason = "this is a Lua file, no configuration",
                                     .hint = conf_for(whole.filename())});
  }
  fs::path folder = whole.parent_path();
  if (folder.filename() == "conf") folder = folder.parent_path();
  return app_folder{.prefix = folder / "", .conf = whole};
}

tl::expected<void, diagnostic> check_app_folder(const std::string& path) {
  auto found = find_app(path);
  std::error_code error;
  if (!path.empty() && fs::is_regular_file(whole_path(path), error)) {
    return tl::unexpected(diagnostic{
        .file = path,
        .reason = "this is a file; a release is made of an app's folder",
        .hint = "name the folder that it lies in"});
  }
  if (!found) return tl::unexpected(std::move(found.error()));
  return {};
}

}  // namespace troupe
