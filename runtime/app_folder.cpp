// SPDX-License-Identifier: Apache-2.0
#include "runtime/app_folder.hpp"

#include <filesystem>
#include <system_error>

namespace troupe {

namespace fs = std::filesystem;

tl::expected<app_folder, diagnostic> find_app(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error).lexically_normal();
  const auto kind = fs::status(whole, error).type();
  if (path.empty() || kind == fs::file_type::not_found) {
    return tl::unexpected(diagnostic{.file = path, .reason = "no such file or folder"});
  }
  if (kind == fs::file_type::none) {
    return tl::unexpected(diagnostic{.file = path, .reason = error.message()});
  }
  if (kind == fs::file_type::directory) {
    const fs::path folder = whole.has_filename() ? whole : whole.parent_path();
    for (const char* candidate : {"nginx.conf", "conf/nginx.conf"}) {
      if (const fs::path conf = folder / candidate; fs::is_regular_file(conf, error)) {
        return app_folder{.prefix = folder / "", .conf = conf};
      }
    }
    return tl::unexpected(diagnostic{
        .file = path,
        .reason = "neither nginx.conf nor conf/nginx.conf is in this folder",
        .hint = "an app is a folder with an nginx.conf; `server { listen 8080; }` is one"});
  }
  fs::path folder = whole.parent_path();
  if (folder.filename() == "conf") folder = folder.parent_path();
  return app_folder{.prefix = folder / "", .conf = whole};
}

}  // namespace troupe
