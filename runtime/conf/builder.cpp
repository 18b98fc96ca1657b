// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/builder.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "actors/shard_release.hpp"
#include "actors/stages/auth_request.hpp"
#include "actors/stages/lua_stage.hpp"
#include "actors/stages/static_file.hpp"
#include "runtime/conf/access_log.hpp"
#include "runtime/conf/location_pattern.hpp"

namespace troupe::conf {

namespace {

bool is_structural(std::string_view name) {
  return name == "http" || name == "server" || name == "location" || name == "events" ||
         name == "upstream";
}

// Whether `lua_code_cache off` stands anywhere.
bool reads_code_anew(const std::vector<directive>& block) {
  return std::any_of(block.begin(), block.end(), [](const directive& d) {
    return (d.name == "lua_code_cache" && !d.args.empty() && d.args[0] == "off") ||
           reads_code_anew(d.children);
  });
}

// Where a phase stands in a chain. The rewrite directives run before their Lua handler.
int rank(lua::phase p) { return static_cast<int>(p); }

}  // namespace

builder::builder(const directive_table& table, log_files& files, options given)
    : table_(table), files_(files), given_(std::move(given)) {
  site_ = std::make_shared<actors::site>();
  if (given_.writable_prefix.empty()) given_.writable_prefix = given_.prefix;
  site_->prefix = site_->code_prefix = given_.prefix;
  types = std::make_shared<net::mime_types>(net::mime_types{
      {"html", "text/html"}, {"gif", "image/gif"}, {"jpg", "image/jpeg"}});
  static_files_ = std::make_shared<actors::stage_spec>(actors::stage_spec{
      "static files", lua::phase::content, [](actors::shard& home, actors::shard_release&) {
        return actors::spawn_on<actors::static_file_stage>(home).handle;
      }});
  post_access_ = std::make_shared<actors::stage_spec>(actors::stage_spec{
      "satisfy", lua::phase::access, [](actors::shard& home, actors::shard_release&) {
        return actors::spawn_on<actors::post_access_stage>(home).handle;
      }});
  log_formats["combined"] = parse_log_format(
      *site_,
      "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
      "\"$http_referer\" \"$http_user_agent\"",
      true);
}

void builder::fail(const directive& at, std::string reason, std::string hint) {
  problems_.push_back({at.file, at.line, std::move(reason), std::move(hint)});
}

void builder::warn(const directive& at, std::string reason) {
  problems_.push_back({at.file, at.line, std::move(reason), {}, net::log_level::warn});
}

std::string builder::path(std::string_view text) const {
  if (text.starts_with('/')) return std::string(text);
  return given_.prefix + std::string(text);
}

std::string builder::writable_path(std::string_view text) const {
  if (text.starts_with('/')) return std::string(text);
  std::string made = given_.writable_prefix + std::string(text);
  if (given_.writable_prefix != given_.prefix) {
    // nginx wants folders of logs to be there; a release could not bring them along.
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(made).parent_path(), error);
  }
  return made;
}

std::string builder::conf_path(std::string_view text) const {
  return resolve_path(given_.conf_folder, text);
}

std::shared_ptr<const net::complex_value> builder::value(const directive& at,
                                                         std::string_view text) {
  auto compiled = net::complex_value::compile(text, site_->variables);
  if (!compiled) {
    fail(at, compiled.error());
    return std::make_shared<net::complex_value>(net::complex_value::constant(std::string(text)));
  }
  return std::make_shared<net::complex_value>(std::move(*compiled));
}

// Named groups become variables. The name that a built-in variable has; "" if none has.
std::string builder::name_groups(lua::regex& pattern) {
  for (const auto& [name, group] : pattern.names()) {
    const net::variable_index variable = site_->variables.define(name);
    if (variable < 0) return name;
    pattern.variables.emplace_back(group, variable);
  }
  return {};
}

std::shared_ptr<lua::regex> builder::compile_regex(const directive& at, std::string_view pattern,
                                                   bool ignore_case) {
  auto compiled = lua::regex::compile(pattern, ignore_case ? PCRE2_CASELESS : 0);
  if (!compiled) {
    std::string reason = "pcre2_compile() failed: " + compiled.error().message + " in \"" +
                         std::string(pattern) + "\"";
    if (compiled.error().offset < pattern.size()) {
      reason += " at \"" + std::string(pattern.substr(compiled.error().offset)) + "\"";
    }
    fail(at, reason);
    return nullptr;
  }
  if (const std::string taken = name_groups(*compiled); !taken.empty()) {
    fail(at, "the duplicate \"" + taken + "\" variable");
    return nullptr;
  }
  return std::make_shared<lua::regex>(std::move(*compiled));
}

int builder::chunk(const directive& at, lua::phase where, const std::string& text_or_path,
                   bool is_file, std::shared_ptr<const net::complex_value>* file) {
  lua::chunk_source source;
  source.where = where;
  source.id = static_cast<int>(site_->chunks.size());
  if (is_file) {
    const bool is_late =
        text_or_path.find('$') != std::string::npos || !here().settings.lua_code_cache;
    if (is_late && file != nullptr) {
      *file = value(at, text_or_path);
      return -1;
    }
    source.path = text_or_path.starts_with('/') ? text_or_path : site_->code_prefix + text_or_path;
    source.chunk_name = "@" + source.path;
    struct stat info {};
    if (::stat(source.path.c_str(), &info) != 0 && file != nullptr) {
      warn(at, "Lua file \"" + source.path + "\" is missing: requests will get 404");
      *file = std::make_shared<net::complex_value>(net::complex_value::constant(source.path));
      return -1;
    }
  } else {
    source.text = text_or_path;
    // As ngx_lua names chunks: the directive without `_block`, the file without its folder.
    std::string name = at.name;
    if (name.ends_with("_block")) name.resize(name.size() - 6);
    std::string_view base = at.file;
    if (const auto slash = base.rfind('/'); slash != std::string_view::npos) base.remove_prefix(slash + 1);
    source.chunk_name = "=" + name + "(" + std::string(base) + ":" + std::to_string(at.line) + ")";
    if (source.chunk_name.size() > 58) {  // LuaJIT cuts longer ones; keep the end, as ngx_lua does.
      const std::string tail = std::string(base) + ":" + std::to_string(at.line) + ")";
      const std::size_t room = 58 - name.size() - 5;
      source.chunk_name =
          "=" + name + "(..." + (tail.size() > room ? tail.substr(tail.size() - room) : tail);
    }
  }
  source.file = at.file;
  source.line = static_cast<int>(at.line);
  site_->chunks.push_back(std::move(source));
  return static_cast<int>(site_->chunks.size()) - 1;
}

std::shared_ptr<const net::log_context> builder::error_log(
    const std::vector<error_log_target>& targets, const directive* at) {
  std::vector<error_log_target> wanted = targets;
  if (wanted.empty()) wanted.push_back({given_.default_error_log, net::log_level::error});
  std::string key;
  for (error_log_target& target : wanted) {
    if (given_.log_level) target.level = *given_.log_level;
    key += target.path + "|" + std::to_string(static_cast<int>(target.level)) + "|";
  }
  if (const auto known = error_log_cache_.find(key); known != error_log_cache_.end()) {
    return known->second;
  }
  std::vector<log_sink::target> opened;
  for (const error_log_target& target : wanted) {
    auto file = files_.open(target.path == "stderr" ? target.path : writable_path(target.path));
    if (!file) {
      diagnostic problem = file.error();
      if (at != nullptr) {
        problem.file = at->file;
        problem.line = at->line;
      }
      problems_.push_back(problem);
      continue;
    }
    opened.push_back({std::move(*file), target.level});
  }
  auto made = std::make_shared<log_sink>(std::move(opened));
  error_log_cache_[key] = made;
  return made;
}

std::shared_ptr<actors::site> builder::build(const std::vector<directive>& tree) {
  scope top;
  top.where = context::main;
  top.settings.client_body_temp_path = writable_path("client_body_temp");
  top.settings.root = path("html");
  top.settings.types = types;
  top.settings.config = given_.config;
  scope_ = &top;
  if (!given_.app_folder.empty() && reads_code_anew(tree)) site_->code_prefix = given_.app_folder;
  name_variables(tree);
  read(tree);
  site_->error_log = error_log(top.error_logs, nullptr);
  if (!top.error_logs.empty()) {
    const std::string& first = top.error_logs.front().path;
    process_.error_log = first == "stderr" ? first : writable_path(first);
  } else {
    process_.error_log =
        given_.default_error_log == "stderr" ? "stderr" : writable_path(given_.default_error_log);
  }
  connect_listens();
  scope_ = nullptr;
  return site_;
}

// What `set` and its kin make may be used in places that stand before them. What is wrong with a name
// is reported when its directive is applied.
void builder::name_variables(const std::vector<directive>& block) {
  for (const directive& entry : block) {
    if ((entry.name == "set" || entry.name.starts_with("set_by_lua")) && !entry.args.empty() &&
        entry.args[0].size() > 1 && entry.args[0].front() == '$') {
      site_->variables.define(std::string_view(entry.args[0]).substr(1));
    }
    name_variables(entry.children);
  }
}

void builder::read(const std::vector<directive>& block) {
  for (const bool structural : {false, true}) {
    for (const directive& entry : block) {
      if (is_structural(entry.name) != structural) continue;
      const directive_row* row = table_.find(entry.name, scope_->where);
      if (row != nullptr && row->apply != nullptr) row->apply(*this, entry);
    }
  }
}

void builder::enter(const directive& block, scope& inner) {
  scope* outer = scope_;
  inner.block = &block;
  scope_ = &inner;
  read(block.children);
  scope_ = outer;
}

void builder::finish_location(actors::location& place, scope& of) {
  place.id = site_->location_count++;
  place.settings = of.settings;
  if (of.settings.on_release == net::release_policy::drain) {
    auto& times = site_->drain_times;
    if (std::find(times.begin(), times.end(), of.settings.drain_time) == times.end()) {
      times.push_back(of.settings.drain_time);
    }
  }
  place.header_filter = of.header_filter;
  place.body_filter = of.body_filter;
  place.header_edits = of.header_edits;
  place.error_log = error_log(of.error_logs, of.block);
  if (!of.access_log_off) {
    for (const access_log_line& line : of.access_logs) {
      const std::string key = line.path + "|" + line.format;
      auto& log = access_log_cache_[key];
      if (!log) {
        auto file = files_.open(writable_path(line.path));
        if (!file) {
          diagnostic problem = file.error();
          if (of.block != nullptr) {
            problem.file = of.block->file;
            problem.line = of.block->line;
          }
          problems_.push_back(problem);
          continue;
        }
        const auto format = log_formats.find(line.format);
        log = make_access_log(std::move(*file), format->second, site_->variables, line);
      }
      place.access_logs.push_back(log);
    }
  }
  const bool is_server = of.where == context::server;
  if (const auto& wanted = place.settings.lua_tls_settings) {
    auto& made = tls_cache_[wanted.get()];
    if (!made) {
      if (auto context = net::tls_client::make(*wanted)) {
        made = *context;
      } else if (of.block != nullptr) {
        fail(*of.block, context.error());
      } else {
        add({{}, 0, context.error(), {}});
      }
    }
    place.settings.lua_tls = made;
  }
  auto add = [&](const std::shared_ptr<const actors::stage_spec>& spec) {
    place.stages.push_back(spec);
  };
  if (of.program && !of.program->empty()) {
    const lua::phase where = is_server ? lua::phase::server_rewrite : lua::phase::rewrite;
    add(std::make_shared<actors::stage_spec>(actors::stage_spec{
        "rewrite", where,
        [program = std::shared_ptr<const actors::rewrite_program>(of.program)](
            actors::shard& home, actors::shard_release&) {
          return actors::spawn_on<actors::rewrite_stage>(home, program).handle;
        }}));
  }
  for (const auto& [where, spec] : of.handlers) {
    const bool of_server = where == lua::phase::server_rewrite;
    if (where == lua::phase::log || of_server == is_server) add(spec);
  }
  if (!is_server) {
    if (of.rules && !of.rules->empty()) {
      add(std::make_shared<actors::stage_spec>(actors::stage_spec{
          "access rules", lua::phase::access,
          [rules = std::shared_ptr<const std::vector<actors::access_rule>>(of.rules)](
              actors::shard& home, actors::shard_release&) {
            return actors::spawn_on<actors::access_rules_stage>(home, rules).handle;
          }}));
    }
    if (of.auth_request) {
      add(std::make_shared<actors::stage_spec>(actors::stage_spec{
          "auth_request", lua::phase::access,
          [uri = of.auth_request](actors::shard& home, actors::shard_release&) {
            return actors::spawn_on<actors::auth_request_stage>(home, uri).handle;
          }}));
    }
    const bool has_access =
        of.rules || of.auth_request || of.handlers.contains(lua::phase::access);
    if (of.echo) {
      add(std::make_shared<actors::stage_spec>(actors::stage_spec{
          "echo", lua::phase::content,
          [program = std::shared_ptr<const actors::echo_program>(of.echo)](
              actors::shard& home, actors::shard_release&) {
            return actors::spawn_on<actors::echo_stage>(home, program).handle;
          }}));
    } else {
      add(of.content ? of.content : static_files_);
    }
    // server_rewrite_by_lua runs before the server's own rewrite directives; in a location the
    // directives come first, and rules before access_by_lua.
    auto order = [&](const std::shared_ptr<const actors::stage_spec>& spec) {
      const bool is_lua = spec->name.find("_by_lua") != std::string::npos;
      return rank(spec->where) * 2 + (is_lua ? (site_->not_postponed.contains(spec->where) ? -1 : 1) : 0);
    };
    std::stable_sort(place.stages.begin(), place.stages.end(),
                     [&](const auto& a, const auto& b) { return order(a) < order(b); });
    if (has_access && of.settings.satisfy == net::satisfy_mode::any) {
      auto at = std::find_if(place.stages.begin(), place.stages.end(), [](const auto& spec) {
        return rank(spec->where) > rank(lua::phase::access);
      });
      place.stages.insert(at, post_access_);
    }
  } else {
    std::stable_sort(place.stages.begin(), place.stages.end(), [](const auto& a, const auto& b) {
      auto order = [](const auto& spec) {
        return rank(spec->where) * 2 + (spec->name.find("_by_lua") == std::string::npos ? 1 : 0);
      };
      return order(a) < order(b);
    });
  }
}

// Which servers answer at which address.
void builder::connect_listens() {
  for (std::uint32_t index = 0; index < site_->servers.size(); ++index) {
    const actors::virtual_server& server = *site_->servers[index];
    for (const actors::listen_options& listen : server.listens) {
      auto group = std::find_if(site_->listens.begin(), site_->listens.end(),
                                [&](const auto& g) { return g.options.where == listen.where; });
      if (group == site_->listens.end()) {
        actors::listen_group made;
        made.options = listen;
        made.names = lua::server_name_match(index);
        site_->listens.push_back(std::move(made));
        group = site_->listens.end() - 1;
      } else if (listen.is_default) {
        if (group->options.is_default) {
          problems_.push_back({listen.file, static_cast<unsigned>(listen.line),
                               "a duplicate default server for " + listen.where.text(), {}});
          continue;
        }
        group->options.is_default = true;
        group->default_server = index;
      }
      if (std::find(group->servers.begin(), group->servers.end(), index) != group->servers.end()) {
        problems_.push_back({listen.file, static_cast<unsigned>(listen.line),
                             "a duplicate listen " + listen.text, {}});
        continue;
      }
      group->servers.push_back(index);
    }
  }
  for (actors::listen_group& group : site_->listens) {
    lua::server_name_match names(group.default_server.value_or(group.servers.front()));
    for (const std::uint32_t index : group.servers) {
      const actors::virtual_server& server = *site_->servers[index];
      for (const std::string& name : server.names) {
        if (name.starts_with('~')) {
          auto compiled = lua::regex::compile(std::string_view(name).substr(1), PCRE2_CASELESS);
          if (!compiled || !name_groups(*compiled).empty()) continue;  // server_name has reported it.
          names.add_regex(static_cast<std::uint32_t>(group.patterns.size()), index);
          group.patterns.push_back(std::move(*compiled));
          continue;
        }
        if (names.add(name, index) == lua::server_name_match::added::conflicting) {
          problems_.push_back({{},
                               0,
                               "conflicting server name \"" + name + "\" on " +
                                   group.options.where.text() + ", ignored",
                               {},
                               net::log_level::warn});
        }
      }
    }
    group.names = std::move(names);
  }
}

std::vector<directive> complete_blocks(std::vector<directive> tree, const directive_table& table) {
  auto allowed = [&](const directive& d, context_set where) {
    return d.name == "include" || table.find(d.name, where) != nullptr;
  };
  const bool has_http = std::any_of(tree.begin(), tree.end(),
                                    [](const directive& d) { return d.name == "http"; });
  if (has_http) return tree;
  std::vector<directive> main;
  directive http{.name = "http", .has_block = true};
  directive server{.name = "server", .has_block = true};
  for (directive& d : tree) {
    if (allowed(d, context::main) || !table.knows(d.name)) {
      main.push_back(std::move(d));
      continue;
    }
    directive& target = allowed(d, context::http) ? http : server;
    if (target.file.empty()) {
      target.file = d.file;
      target.line = d.line;
    }
    target.children.push_back(std::move(d));
  }
  if (!server.children.empty()) http.children.push_back(std::move(server));
  if (!http.children.empty()) main.push_back(std::move(http));
  return main;
}

}  // namespace troupe::conf
