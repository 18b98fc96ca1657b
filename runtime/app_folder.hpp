// SPDX-License-Identifier: Apache-2.0
//
// Where an app's configuration is: `PATH` of `troupe run PATH` into the prefix and the conf file
// that nginx would be given.
//
// Source   docs/getting-started.md.
// Thread   any.
// Errors   a diagnostic that names what was looked for.
// Called   by runtime/loader, runtime/deployment, runtime/release_needs, runtime/commands.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <string>

namespace troupe {

struct app_folder {
  std::string prefix;  ///< Absolute, with a slash at its end, as nginx wants it.
  std::string conf;    ///< Absolute.
};

/// A folder has `nginx.conf` or `conf/nginx.conf`; a conf file's folder is its prefix, or, if that
/// is called conf, the folder above.
[[nodiscard]] tl::expected<app_folder, diagnostic> find_app(const std::string& path);

/// Whether a release can be made of it: a folder that has a configuration.
[[nodiscard]] tl::expected<void, diagnostic> check_app_folder(const std::string& path);

}  // namespace troupe
