// SPDX-License-Identifier: Apache-2.0
//
// Turns a checked tree of directives into what the actors run: a site, and what the process does
// with itself. Directives act on the builder through the functions of their rows; the builder knows
// blocks, inheritance and order, the directives know values.
//
// A block is read in two steps: first its plain directives, then its inner blocks, which start as a
// copy of it; so a value holds for inner blocks wherever it stands.
//
// Source   ngx_http_core_module; merging as in nginx's development guide, "Configuration".
// Thread   loader (or main, before anything runs).
// Errors   collected: every directive that is wrong is reported.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/site.hpp"
#include "actors/stages/access_rules.hpp"
#include "actors/stages/echo.hpp"
#include "actors/stages/rewrite.hpp"
#include "runtime/conf/directive_table.hpp"
#include "runtime/log_file.hpp"
#include "runtime/log_sink.hpp"
#include "troupe/diagnostic.hpp"
#include "troupe/node.hpp"

namespace troupe::conf {

/// A line of an access log: text and variables.
struct log_format {
  struct part {
    std::string literal;
    net::variable_index variable = -1;
  };
  std::vector<part> parts;
  bool escapes = true;
};

struct access_log_line {
  std::string path;
  std::string format;
  std::size_t buffer = 0;
  std::int64_t flush_ms = 0;
};

/// One block while it is read.
struct scope {
  context_set where = context::main;
  net::location_settings settings;

  // Inherited.
  std::map<lua::phase, std::shared_ptr<const actors::stage_spec>> handlers;
  actors::lua_code header_filter;
  actors::lua_code body_filter;
  std::shared_ptr<std::vector<actors::access_rule>> rules;
  std::shared_ptr<const net::complex_value> auth_request;
  std::vector<std::function<void(actors::exchange_box&)>> header_edits;
  std::vector<error_log_target> error_logs;
  std::vector<access_log_line> access_logs;
  bool access_log_off = false;

  // Of this block alone.
  std::set<std::string, std::less<>> seen;
  std::shared_ptr<const actors::stage_spec> content;
  std::shared_ptr<actors::echo_program> echo;
  std::shared_ptr<actors::rewrite_program> program;
  std::string root_folder;
  actors::virtual_server* server = nullptr;
  std::vector<lua::location_entry>* entries = nullptr;  ///< Where nested locations are listed.
  const directive* block = nullptr;
  std::string outer_location_name;
  const directive* outer_location = nullptr;

  /// True at the first directive of this name here: lists start anew then.
  bool is_first(std::string_view name) { return seen.emplace(name).second; }
};

class builder {
public:
  struct options {
    std::string prefix;        ///< Absolute, with final slash.
    std::string writable_prefix;  ///< The same for what is written; empty: `prefix`.
    std::string app_folder;    ///< The same for Lua files with `lua_code_cache off`; empty: `prefix`.
    std::string conf_folder;   ///< Absolute, with final slash.
    std::string default_error_log;
    const net::live_config* config = nullptr;  ///< Of the node; null: none.
    std::optional<net::log_level> log_level;
  };

  builder(const directive_table& table, log_files& files, options given);

  /// Reads the tree; problems() says what was wrong.
  std::shared_ptr<actors::site> build(const std::vector<directive>& tree);

  [[nodiscard]] const diagnostics& problems() const noexcept { return problems_; }
  [[nodiscard]] process_settings& process() noexcept { return process_; }

  // --- For directives -----------------------------------------------------------------------------
  [[nodiscard]] scope& here() noexcept { return *scope_; }
  [[nodiscard]] actors::site& site() noexcept { return *site_; }
  [[nodiscard]] const options& given() const noexcept { return given_; }
  void fail(const directive& at, std::string reason, std::string hint = {});
  void warn(const directive& at, std::string reason);
  void add(diagnostic problem) { problems_.push_back(std::move(problem)); }

  /// Compiles a parameter with variables; reports what is wrong with it.
  std::shared_ptr<const net::complex_value> value(const directive& at, std::string_view text);
  /// A path relative to the prefix: of what is read.
  [[nodiscard]] std::string path(std::string_view text) const;
  /// A path relative to the writable prefix: logs, the pid file, temporary files, Unix sockets.
  [[nodiscard]] std::string writable_path(std::string_view text) const;
  /// A path relative to the folder of the configuration file, as those of certificates are.
  [[nodiscard]] std::string conf_path(std::string_view text) const;
  /// A chunk of a `*_by_lua` directive in any of its forms; -1 if its file needs variables or is
  /// missing: then `file` is set.
  int chunk(const directive& at, lua::phase where, const std::string& text_or_path, bool is_file,
            std::shared_ptr<const net::complex_value>* file);

  /// Reads an inner block with a scope of its own.
  void enter(const directive& block, scope& inner);
  /// Makes the location that a finished scope describes and gives it a chain.
  void finish_location(actors::location& place, scope& of);
  std::shared_ptr<lua::regex> compile_regex(const directive& at, std::string_view pattern,
                                            bool ignore_case);

  std::map<std::string, log_format, std::less<>> log_formats;
  std::shared_ptr<net::mime_types> types;

private:
  std::string name_groups(lua::regex& pattern);
  friend void apply_server(builder&, const directive&);
  void read(const std::vector<directive>& block);
  void name_variables(const std::vector<directive>& block);
  void connect_listens();
  std::shared_ptr<const net::log_context> error_log(const std::vector<error_log_target>& targets,
                                                    const directive* at);

  const directive_table& table_;
  log_files& files_;
  options given_;
  std::shared_ptr<actors::site> site_;
  process_settings process_;
  diagnostics problems_;
  scope* scope_ = nullptr;
  std::shared_ptr<const actors::stage_spec> static_files_;
  std::shared_ptr<const actors::stage_spec> post_access_;
  std::map<std::string, std::shared_ptr<const net::log_context>> error_log_cache_;
  std::map<std::string, std::shared_ptr<const actors::access_log>> access_log_cache_;
  std::map<const net::tls_client_settings*, std::shared_ptr<const net::tls_client>> tls_cache_;
};

/// The rows of all modules.
std::span<const directive_module> all_modules();

/// Puts what belongs into `http {}` and `server {}` there, for a conf that has only servers or
/// locations.
std::vector<directive> complete_blocks(std::vector<directive> tree, const directive_table& table);

}  // namespace troupe::conf
