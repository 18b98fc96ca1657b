// SPDX-License-Identifier: Apache-2.0
//
// The directives of Lua: handlers in their three forms, and how Lua runs.
//
// Source   "Directives" of ngx_lua's README.
#include "actors/stages/lua_stage.hpp"
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/rewrite.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {
namespace {

using lua::phase;
using settings = net::location_settings;

const std::string& code_of(const directive& d) { return d.is_lua ? d.lua_block : d.args[0]; }
bool is_file(const directive& d) { return d.name.ends_with("_file"); }

std::shared_ptr<const actors::stage_spec> handler(builder& b, const directive& d, phase where) {
  actors::lua_handler made;
  made.where = where;
  made.code.chunk = b.chunk(d, where, code_of(d), is_file(d), &made.code.file);
  return std::make_shared<actors::stage_spec>(actors::stage_spec{
      d.name, where, [made](actors::shard& home, actors::shard_release&) {
        return actors::spawn_on<actors::lua_stage>(home, made).handle;
      }});
}

template <phase Where>
void set_handler(builder& b, const directive& d) {
  b.here().handlers[Where] = handler(b, d, Where);
}

void set_content(builder& b, const directive& d) {
  if (code_of(d).empty()) {
    return b.fail(d, "invalid location config: no runnable Lua code");
  }
  b.here().content = handler(b, d, phase::content);
  b.here().echo.reset();
}

// Of a filter or a set_by_lua, which have no answer for a file that is not there: so a path that is
// known now must lead to one.
actors::lua_code code(builder& b, const directive& d, phase where, const std::string& text_or_path) {
  actors::lua_code made;
  const bool is_late =
      text_or_path.find('$') != std::string::npos || !b.here().settings.lua_code_cache;
  made.chunk = b.chunk(d, where, text_or_path, is_file(d), is_late ? &made.file : nullptr);
  return made;
}

template <phase Where>
void set_filter(builder& b, const directive& d) {
  auto& filter = Where == phase::header_filter ? b.here().header_filter : b.here().body_filter;
  filter = code(b, d, Where, code_of(d));
}

template <phase Where>
void set_once(builder& b, const directive& d) {
  const int chunk = b.chunk(d, Where, code_of(d), is_file(d), nullptr);
  switch (Where) {
    case phase::init: b.site().init = chunk; break;
    case phase::init_worker: b.site().init_worker = chunk; break;
    default: b.site().exit_worker = chunk; break;
  }
}

void set_by_lua(builder& b, const directive& d) {
  const auto variable = define_variable(b, d, d.args[0]);
  actors::lua_code made = code(b, d, phase::set, d.is_lua ? d.lua_block : d.args[1]);
  std::vector<net::complex_value> arguments;
  for (std::size_t i = 2; i < d.args.size(); ++i) arguments.push_back(*b.value(d, d.args[i]));
  auto& op = add_operation(b, actors::rewrite_operation::kind::set_by_lua);
  op.variable = variable;
  op.code = std::move(made);
  op.arguments = std::move(arguments);
}

void package_path(builder& b, const directive& d) { b.site().package_path = d.args[0]; }
void package_cpath(builder& b, const directive& d) { b.site().package_cpath = d.args[0]; }

void shared_dict(builder& b, const directive& d) {
  const std::string& name = d.args[0];
  if (name.empty()) return b.fail(d, "invalid lua shared dict name \"" + name + "\"");
  for (const auto& known : b.site().dicts) {
    if (known.name == name) {
      return b.fail(d, "lua_shared_dict \"" + name + "\" is already defined as \"" + name + "\"");
    }
  }
  const auto size = size_in(d.args[1]);
  if (!size || *size <= 8191) {
    return b.fail(d, "invalid lua shared dict size \"" + d.args[1] + "\"");
  }
  b.site().dicts.push_back({name, static_cast<std::size_t>(*size)});
}

template <int actors::site::*member>
void set_count(builder& b, const directive& d) {
  if (auto n = parse_number(d.name, d.args[0])) b.site().*member = static_cast<int>(*n);
  else b.fail(d, n.error());
}

void max_slice(builder& b, const directive& d) {
  const auto ms = parse_time(d.name, d.args[0]);
  if (!ms) return b.fail(d, ms.error());
  const std::string action = d.args.size() > 1 ? d.args[1] : "warn";
  if (action != "warn" && action != "kill") {
    return b.fail(d, "invalid value \"" + action + "\" in \"lua_max_slice\" directive, it must be \"warn\" or \"kill\"");
  }
  b.site().max_slice_ms = ms->count();
  b.site().max_slice_kills = action == "kill";
}

void max_memory(builder& b, const directive& d) {
  const auto size = size_in(d.args[0]);
  if (!size) return b.fail(d, "\"lua_max_memory\" directive invalid value");
  b.site().max_memory = static_cast<std::size_t>(*size);
  b.site().max_memory_file = d.file;
  b.site().max_memory_line = static_cast<int>(d.line);
}

void code_cache(builder& b, const directive& d) {
  set_flag<&settings::lua_code_cache>(b, d);
  if (!b.here().settings.lua_code_cache) {
    diagnostic warning{d.file, d.line, "lua_code_cache is off; this will hurt performance", {},
                       net::log_level::alert};
    b.add(std::move(warning));
  }
}

void load_resty_core(builder& b, const directive& d) {
  b.warn(d, "lua_load_resty_core is deprecated (the lua-resty-core library is required since ngx_lua "
            "v0.10.16)");
}

template <phase Where>
void no_postpone(builder& b, const directive& d) {
  if (d.args[0] == "on") b.site().not_postponed.insert(Where);
}

constexpr context_set hsl = http_server_location;
constexpr context_set hsli = http_server_location_if;
constexpr context_set li = context::location | context::if_in_location;


constexpr directive_row inline_row(std::string_view name, std::string_view group, context_set contexts,
                                   std::string_view help, void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::one, .syntax = "'code'",
          .help = help, .apply = apply, .once = true, .group = group};
}
constexpr directive_row block_row(std::string_view name, std::string_view group, context_set contexts,
                                  std::string_view help, void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::none, .syntax = "{ code }",
          .help = help, .apply = apply, .once = true, .group = group, .body = body_kind::lua};
}
constexpr directive_row file_row(std::string_view name, std::string_view group, context_set contexts,
                                 std::string_view help, void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::one, .syntax = "file",
          .help = help, .apply = apply, .once = true, .group = group};
}
constexpr directive_row lua_flag(std::string_view name, context_set contexts, std::string_view standard,
                                 std::string_view help, void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::flag, .syntax = "on | off",
          .standard = standard, .help = help, .apply = apply, .once = true};
}
constexpr directive_row lua_value(std::string_view name, context_set contexts, std::string_view syntax,
                                  std::string_view standard, std::string_view help,
                                  void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::one, .syntax = syntax,
          .standard = standard, .help = help, .apply = apply, .once = true};
}

#define TROUPE_HANDLER(NAME, CONTEXTS, HELP, APPLY)                       \
  inline_row(NAME, NAME, CONTEXTS, HELP, APPLY),                          \
      block_row(NAME "_block", NAME, CONTEXTS, HELP, APPLY),              \
      file_row(NAME "_file", NAME, CONTEXTS, HELP, APPLY)

constexpr directive_row rows[] = {
    TROUPE_HANDLER("init_by_lua", context::http, "Runs once for each VM when a release is loaded.",
                   set_once<phase::init>),
    TROUPE_HANDLER("init_worker_by_lua", context::http, "Runs on each shard before it serves.",
                   set_once<phase::init_worker>),
    TROUPE_HANDLER("exit_worker_by_lua", context::http, "Runs on each shard when it ends.",
                   set_once<phase::exit_worker>),
    TROUPE_HANDLER("server_rewrite_by_lua", context::http | context::server,
                   "Runs before a location is looked for.", set_handler<phase::server_rewrite>),
    TROUPE_HANDLER("rewrite_by_lua", hsli, "Runs after the rewrite directives.",
                   set_handler<phase::rewrite>),
    TROUPE_HANDLER("access_by_lua", hsli, "Decides who may go on.", set_handler<phase::access>),
    TROUPE_HANDLER("precontent_by_lua", hsli, "Runs just before the content.",
                   set_handler<phase::precontent>),
    TROUPE_HANDLER("content_by_lua", li, "Makes the response.", set_content),
    TROUPE_HANDLER("header_filter_by_lua", hsli, "Runs before the head is sent.",
                   set_filter<phase::header_filter>),
    TROUPE_HANDLER("body_filter_by_lua", hsli, "Runs over each piece of the body.",
                   set_filter<phase::body_filter>),
    TROUPE_HANDLER("log_by_lua", hsli, "Runs when the response is out.", set_handler<phase::log>),
    {.name = "set_by_lua",
     .contexts = context::server | context::location | context::if_in_server | context::if_in_location,
     .arguments = takes::two_or_more, .syntax = "$variable 'code' [argument …]",
     .merge = merging::none, .help = "Gives a variable the value that the code returns.",
     .apply = set_by_lua},
    {.name = "set_by_lua_file",
     .contexts = context::server | context::location | context::if_in_server | context::if_in_location,
     .arguments = takes::two_or_more, .syntax = "$variable file [argument …]",
     .merge = merging::none, .help = "As set_by_lua, with the code in a file.", .apply = set_by_lua},
    {.name = "set_by_lua_block",
     .contexts = context::server | context::location | context::if_in_server | context::if_in_location,
     .arguments = takes::one, .syntax = "$variable { code }", .merge = merging::none,
     .help = "As set_by_lua, with the code in a block.", .apply = set_by_lua, .body = body_kind::lua},
    lua_value("lua_package_path", context::http, "path", ";;", "Where `require` looks for Lua files.",
              package_path),
    lua_value("lua_package_cpath", context::http, "path", ";;",
              "Where `require` looks for libraries in C.", package_cpath),
    {.name = "lua_shared_dict", .contexts = context::http, .arguments = takes::two,
     .syntax = "name size", .merge = merging::none,
     .help = "Makes a dictionary that all shards share: ngx.shared.NAME.", .apply = shared_dict},
    lua_flag("lua_code_cache", hsli, "on", "Off: Lua files and modules are read anew for each request.", code_cache),
    lua_value("lua_regex_cache_max_entries", context::http, "number", "1024",
              "How many expressions with the flag `o` are kept.", set_count<&actors::site::regex_cache_entries>),
    lua_value("lua_regex_match_limit", context::http, "number", "0",
              "How long an expression may search; 0: PCRE2's limit.", set_count<&actors::site::regex_match_limit>),
    lua_flag("lua_need_request_body", hsli, "off", "Reads the body before the handlers run.",
             set_flag<&settings::lua_need_request_body>),
    lua_flag("lua_transform_underscores_in_response_headers", hsli, "on",
             "Whether ngx.header.a_b means A-B.",
             set_flag<&settings::lua_transform_underscores_in_response_headers>),
    lua_flag("lua_http10_buffering", hsli, "on",
             "Gathers HTTP/1.0 responses for a Content-Length.",
             set_flag<&settings::lua_http10_buffering>),
    lua_flag("lua_check_client_abort", hsli, "off", "Notices clients that go away.",
             set_flag<&settings::lua_check_client_abort>),
    lua_flag("lua_use_default_type", hsli, "on", "Whether Lua's responses get default_type.",
             set_flag<&settings::lua_use_default_type>),
    lua_flag("lua_socket_log_errors", hsli, "on", "Whether failures of cosockets are logged.",
             set_flag<&settings::lua_socket_log_errors>),
    lua_value("lua_socket_connect_timeout", hsli, "time", "60s", "Of cosockets.",
              set_time<&settings::lua_socket_connect_timeout>),
    lua_value("lua_socket_send_timeout", hsli, "time", "60s", "Of cosockets.",
              set_time<&settings::lua_socket_send_timeout>),
    lua_value("lua_socket_read_timeout", hsli, "time", "60s", "Of cosockets.",
              set_time<&settings::lua_socket_read_timeout>),
    lua_value("lua_socket_keepalive_timeout", hsli, "time", "60s", "Of pooled cosockets.",
              set_time<&settings::lua_socket_keepalive_timeout>),
    lua_value("lua_socket_buffer_size", hsli, "size", "4k", "Of cosockets.",
              set_size<&settings::lua_socket_buffer_size>),
    lua_value("lua_socket_pool_size", hsli, "number", "30", "Of cosockets.",
              set_number<&settings::lua_socket_pool_size>),
    lua_value("lua_socket_send_lowat", hsli, "size", "0", "Accepted without effect.", accept),
    lua_flag("lua_load_resty_core", context::http, "on", "Accepted: it is always there.", load_resty_core),
    lua_flag("rewrite_by_lua_no_postpone", context::http, "off",
             "Runs rewrite_by_lua before the rewrite directives.", no_postpone<phase::rewrite>),
    lua_flag("access_by_lua_no_postpone", context::http, "off",
             "Runs access_by_lua before allow, deny and auth_request.", no_postpone<phase::access>),
    lua_flag("precontent_by_lua_no_postpone", context::http, "off", "Accepted without effect.", accept),
    lua_flag("lua_sa_restart", context::http, "on", "Accepted without effect.", accept),
    lua_value("lua_malloc_trim", context::http, "number", "1000", "Accepted without effect.", accept),
    lua_value("lua_thread_cache_max_entries", context::http, "number", "1024",
              "Accepted: coroutines of handlers are always kept.", accept),
    {.name = "lua_max_slice", .contexts = context::http, .arguments = takes::one | takes::two,
     .syntax = "time [warn | kill]", .standard = "0",
     .help = "How long a script may run without a wait: then its traceback is logged, and `kill` raises an "
             "error in it; one that catches that ends at the third in an exchange. Compiled loops are "
             "reached as well, for which compiled code looks once a line (0 to 5 % of its time). A C or FFI "
             "function is seen when it ends (`lua_regex_match_limit` bounds expressions), a finalizer never.",
     .apply = max_slice, .once = true},
    lua_value("lua_max_memory", context::http, "size", "0",
              "How much memory the Lua code of a shard or worker thread may have, 0: any. Above it LuaJIT "
              "gets none: the exchange that needs it fails with \"not enough memory\" and the node lives. "
              "Garbage is collected before; what C libraries, buffers and shared dictionaries take does not "
              "count. At least 4m is useful; `init_by_lua` that needs more refuses the release.",
              max_memory),
    lua_value("lua_max_running_timers", context::http, "number", "256", "How many callbacks of timers may run at once on a shard.",
              set_count<&actors::site::most_running_timers>),
    lua_value("lua_max_pending_timers", context::http, "number", "1024", "How many timers may wait on a shard.",
              set_count<&actors::site::most_pending_timers>),
    lua_value("lua_capture_error_log", context::http, "size", "", "Accepted without effect.", accept),
    lua_value("lua_worker_thread_vm_pool_size", context::http, "number", "10", "Accepted without effect.",
              accept),
};
#undef TROUPE_HANDLER

}  // namespace

const directive_module lua_module{"ngx_http_lua_module", "Lua.", rows};

}  // namespace troupe::conf
