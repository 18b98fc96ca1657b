// SPDX-License-Identifier: Apache-2.0
#include "runtime/loader.hpp"

#include <climits>
#include <cstdlib>

#include "runtime/app_folder.hpp"
#include "runtime/conf/builder.hpp"
#include "runtime/conf/parser.hpp"

namespace troupe {
namespace {

std::string absolute(std::string path) {
  if (path.empty()) path = ".";
  char real[PATH_MAX];
  if (::realpath(path.c_str(), real) != nullptr) return real;
  return path;
}

std::string with_slash(std::string path) {
  if (!path.ends_with('/')) path += '/';
  return path;
}

std::string folder(const std::string& path) { return path.empty() ? path : with_slash(absolute(path)); }

/// A prefix with a slash behind it is one too: of `lua_package_path "$prefix/lua/?.lua"`.
std::size_t slashes_at(std::string_view text, std::size_t at) {
  const std::size_t end = text.find_first_not_of('/', at);
  return (end == std::string_view::npos ? text.size() : end) - at;
}

void drop_all(std::string& text, std::string_view prefix) {
  for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at)) {
    text.erase(at, prefix.size() + slashes_at(text, at + prefix.size()));
  }
}

// "…ees/0a1b/lua/a.lua:3: text": Lua has cut the prefix, an end of it is left.
void drop_cut_prefix(std::string& text, std::string_view prefix) {
  for (std::size_t at = text.find("..."); at != std::string::npos; at = text.find("...", at)) {
    at += 3;
    for (std::size_t cut = 1; cut + 1 < prefix.size(); ++cut) {
      const std::string_view rest = prefix.substr(cut);
      if (std::string_view(text).substr(at).starts_with(rest)) {
        text.erase(at - 3, 3 + rest.size() + slashes_at(text, at + rest.size()));
        at -= 3;
        break;
      }
    }
  }
}

tl::expected<loaded_configuration, diagnostics> read_configuration(const release_source& from,
                                                                   const node_options& options,
                                                                   log_files& files,
                                                                   const net::live_config* config) {
  const auto own = conf::all_modules();
  std::vector<conf::directive_module> modules(own.begin(), own.end());
  for (const conf::directive_module* given : options.modules) modules.push_back(*given);
  conf::directive_table table(modules);
  conf::disk_files disk;
  conf::parse_result parsed = conf::parse_file(disk, from.conf);
  diagnostics problems = std::move(parsed.errors);
  std::vector<conf::directive> tree;
  if (!options.directives.empty()) {
    conf::parse_result given = conf::parse_parameters(options.directives);
    problems.insert(problems.end(), given.errors.begin(), given.errors.end());
    tree = std::move(given.directives);
  }
  for (auto& d : parsed.directives) tree.push_back(std::move(d));
  tree = conf::complete_blocks(std::move(tree), table);
  const diagnostics found = table.check(tree);
  problems.insert(problems.begin(), found.begin(), found.end());
  if (is_fatal(problems)) return tl::unexpected(problems);

  conf::builder builder(table, files,
                        {.prefix = from.prefix,
                         .writable_prefix = from.writable_prefix,
                         .app_folder = from.app_folder,
                         .conf_folder = std::string(conf::folder_of(from.conf)),
                         .default_error_log = options.error_log,
                         .config = config,
                         .log_level = options.log_level});
  loaded_configuration loaded;
  loaded.site = builder.build(tree);
  problems.insert(problems.end(), builder.problems().begin(), builder.problems().end());
  if (is_fatal(problems)) return tl::unexpected(problems);
  if (loaded.site->servers.empty()) {
    // nginx starts without servers too; it then only waits for signals.
    problems.push_back({from.conf, 0, "no \"server\" is defined", {}, net::log_level::warn});
  }
  loaded.process = builder.process();
  loaded.warnings = std::move(problems);
  for (const std::string& path : parsed.files) {
    if (auto text = disk.read(path)) loaded.files.push_back({path, std::move(*text)});
  }
  return loaded;
}

}  // namespace

void name_by_prefix(diagnostics& problems, const release_source& source) {
  // nginx names files in full; in a release a full name says where the node keeps its copy.
  if (source.digest.empty()) return;
  for (diagnostic& problem : problems) {
    if (problem.file.starts_with(source.prefix)) drop_all(problem.file, source.prefix);
    for (std::string* text : {&problem.reason, &problem.hint}) {
      drop_all(*text, source.prefix);
      drop_cut_prefix(*text, source.prefix);
    }
  }
}

release_source with_whole_paths(release_source source) {
  source.prefix = with_slash(absolute(source.prefix));
  source.writable_prefix =
      source.writable_prefix.empty() ? source.prefix : with_slash(absolute(source.writable_prefix));
  source.app_folder = folder(source.app_folder);
  if (!source.conf.starts_with('/')) source.conf = source.prefix + source.conf;
  return source;
}

tl::expected<release_source, diagnostics> source_of(const node_options& options) {
  release_source source;
  if (options.release) {
    return with_whole_paths(*options.release);
  } else if (!options.app.empty()) {
    auto app = find_app(options.app);
    if (!app) return tl::unexpected(diagnostics{app.error()});
    source.prefix = app->prefix;
    source.conf = app->conf;
  } else {
    source.prefix = with_slash(absolute(options.prefix));
    source.conf = options.conf.empty() ? "conf/nginx.conf" : options.conf;
    if (!source.conf.starts_with('/')) source.conf = source.prefix + source.conf;
  }
  if (source.writable_prefix.empty()) source.writable_prefix = source.prefix;
  return source;
}

tl::expected<loaded_configuration, diagnostics> load_configuration(const release_source& from,
                                                                   const node_options& options,
                                                                   log_files& files,
                                                                   const net::live_config* config) {
  auto loaded = read_configuration(from, options, files, config);
  if (loaded) name_by_prefix(loaded->warnings, from);
  else name_by_prefix(loaded.error(), from);
  return loaded;
}

}  // namespace troupe
