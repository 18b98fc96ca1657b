// SPDX-License-Identifier: Apache-2.0
//
// `http`, `server`, `location` and what is set in them.
//
// Source   https://nginx.org/en/docs/http/ngx_http_core_module.html.
#include <algorithm>

#include "net/complex_value.hpp"
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"
#include "runtime/conf/location_pattern.hpp"

namespace troupe::conf {
namespace {

using settings = net::location_settings;

// --- Blocks ---------------------------------------------------------------------------------------

scope inside(builder& b, context_set where) {
  scope inner = b.here();
  inner.where = where;
  inner.seen.clear();
  inner.content.reset();
  inner.echo.reset();
  inner.program.reset();
  inner.settings.internal = false;
  return inner;
}

void http(builder& b, const directive& d) {
  scope inner = inside(b, context::http);
  b.enter(d, inner);
  b.site().http = inner.settings;
}

void server(builder& b, const directive& d) {
  b.site().servers.push_back(std::make_unique<actors::virtual_server>());
  actors::virtual_server& made = *b.site().servers.back();
  scope inner = inside(b, context::server);
  std::vector<lua::location_entry> entries;
  inner.server = &made;
  inner.entries = &entries;
  b.enter(d, inner);
  b.finish_location(made.defaults, inner);
  inner.where = context::location;
  inner.program.reset();  // It runs before any location is found.
  b.finish_location(made.fallback, inner);
  if (made.listens.empty()) {
    actors::listen_options listen;
    listen.text = "*:80";
    listen.where = *net::address::parse_listen("*:80");
    listen.file = d.file;
    listen.line = static_cast<int>(d.line);
    made.listens.push_back(std::move(listen));
  }
  auto compiled = lua::location_match::compile(entries);
  if (!compiled) {
    b.fail(d, compiled.error().reason);
    return;
  }
  made.locations = std::move(*compiled);
}

void location(builder& b, const directive& d) {
  auto pattern = parse_location(d.args);
  if (!pattern) {
    b.fail(d, pattern.error());
    return;
  }
  if (b.here().outer_location != nullptr) {
    if (auto outer = parse_location(b.here().outer_location->args)) {
      if (std::string error = nesting_error(*pattern, *outer); !error.empty()) {
        b.fail(d, error);
        return;
      }
    }
  }
  actors::virtual_server& owner = *b.here().server;
  const auto number = static_cast<std::uint32_t>(owner.places.size());
  owner.places.push_back(std::make_unique<actors::location>());
  actors::location& place = *owner.places.back();
  place.name = pattern->name;

  lua::location_entry entry;
  entry.location = number;
  entry.name = pattern->name;
  switch (pattern->kind) {
    case location_pattern::form::prefix: entry.kind = lua::location_kind::prefix; break;
    case location_pattern::form::final_prefix: entry.kind = lua::location_kind::final_prefix; break;
    case location_pattern::form::exact: entry.kind = lua::location_kind::exact; break;
    case location_pattern::form::named: entry.kind = lua::location_kind::named; break;
    case location_pattern::form::regex:
    case location_pattern::form::caseless_regex: {
      entry.kind = lua::location_kind::regex;
      auto regex = b.compile_regex(d, pattern->name,
                                   pattern->kind == location_pattern::form::caseless_regex);
      if (!regex) return;
      place.pattern = std::move(*regex);
      break;
    }
  }
  scope inner = inside(b, context::location);
  inner.entries = &entry.nested;
  inner.outer_location = &d;
  std::vector<lua::location_entry>* siblings = b.here().entries;
  b.enter(d, inner);
  b.finish_location(place, inner);
  siblings->push_back(std::move(entry));
}

void types(builder& b, const directive& d) {
  auto made = std::make_shared<net::mime_types>();
  if (!b.here().is_first("types")) made = std::make_shared<net::mime_types>(*b.here().settings.types);
  for (const directive& line : d.children) {
    if (line.name == "include") continue;
    for (std::string extension : line.args) {
      std::transform(extension.begin(), extension.end(), extension.begin(),
                     [](unsigned char c) { return std::tolower(c); });
      (*made)[extension] = line.name;
    }
  }
  b.here().settings.types = made;
}

// --- Servers --------------------------------------------------------------------------------------

void listen(builder& b, const directive& d) {
  actors::listen_options made;
  made.text = d.args[0];
  made.file = d.file;
  made.line = static_cast<int>(d.line);
  const bool is_relative = d.args[0].starts_with("unix:") && !d.args[0].starts_with("unix:/");
  auto where = net::address::parse_listen(
      is_relative ? "unix:" + b.writable_path(std::string_view(d.args[0]).substr(5)) : d.args[0]);
  if (!where) {
    b.fail(d, where.error() + " in \"" + d.args[0] + "\" of the \"listen\" directive");
    return;
  }
  made.where = *where;
  for (std::size_t i = 1; i < d.args.size(); ++i) {
    const std::string& word = d.args[i];
    if (word == "default_server" || word == "default") made.is_default = true;
    else if (word == "reuseport") made.reuseport = true;
    else if (word == "http2") made.http2 = true;
    else if (word.starts_with("backlog=")) {
      const auto n = number_in(std::string_view(word).substr(8));
      if (!n || *n < 1) {
        b.fail(d, "invalid backlog \"" + word.substr(8) + "\"");
        return;
      }
      made.backlog = static_cast<int>(*n);
    } else if (word == "ssl" || word == "quic" || word == "proxy_protocol") {
      b.fail(d, "the \"" + word + "\" parameter of \"listen\" is not supported by this version");
      return;
    } else if (word == "bind" || word == "deferred" || word.starts_with("fastopen=") ||
               word.starts_with("rcvbuf=") || word.starts_with("sndbuf=") ||
               word.starts_with("so_keepalive=") || word.starts_with("ipv6only=") ||
               word.starts_with("setfib=") || word.starts_with("accept_filter=")) {
      // Tuning of the socket that the kernel's defaults serve as well.
    } else {
      b.fail(d, "invalid parameter \"" + word + "\"");
      return;
    }
  }
  b.here().server->listens.push_back(std::move(made));
}

void server_name(builder& b, const directive& d) {
  for (const std::string& name : d.args) {
    if (name.starts_with('~')) {
      if (!b.compile_regex(d, std::string_view(name).substr(1), true)) return;
    } else if (std::string error = server_name_error(name); !error.empty()) {
      b.fail(d, error);
      return;
    }
    if (name.find('/') != std::string::npos) b.warn(d, "server name \"" + name + "\" has suspicious symbols");
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    b.here().server->names.push_back(name.starts_with('~') ? name : lower);
  }
}

// --- Locations ------------------------------------------------------------------------------------

void root(builder& b, const directive& d) {
  b.here().settings.root = b.path(d.args[0]);
  while (b.here().settings.root.size() > 1 && b.here().settings.root.back() == '/') {
    b.here().settings.root.pop_back();
  }
  b.here().settings.root_is_alias = false;
}

void alias(builder& b, const directive& d) {
  b.here().settings.root = b.path(d.args[0]);
  b.here().settings.root_is_alias = true;
}

void index(builder& b, const directive& d) {
  if (b.here().is_first("index")) b.here().settings.index.clear();
  b.here().settings.index.insert(b.here().settings.index.end(), d.args.begin(), d.args.end());
}

void internal(builder& b, const directive&) { b.here().settings.internal = true; }
void default_type(builder& b, const directive& d) { b.here().settings.default_type = d.args[0]; }

void error_page(builder& b, const directive& d) {
  if (b.here().is_first("error_page")) b.here().settings.error_pages.clear();
  std::size_t last = d.args.size() - 1;
  const auto target = b.value(d, d.args[last]);
  int overwrite = -1;
  if (last > 0 && d.args[last - 1].starts_with('=')) {
    const std::string_view text = std::string_view(d.args[last - 1]).substr(1);
    if (text.empty()) {
      overwrite = 0;
    } else if (const auto n = number_in(text); n && *n >= 0 && *n <= 999) {
      overwrite = static_cast<int>(*n);
    } else {
      b.fail(d, "invalid value \"" + d.args[last - 1] + "\"");
      return;
    }
    --last;
  }
  for (std::size_t i = 0; i < last; ++i) {
    const auto n = number_in(d.args[i]);
    if (!n) {
      b.fail(d, "invalid value \"" + d.args[i] + "\"");
      return;
    }
    if (*n == 499) {
      b.fail(d, "value \"499\" must not be used");
      return;
    }
    if (*n < 300 || *n > 599) {
      b.fail(d, "value \"" + d.args[i] + "\" must be between 300 and 599");
      return;
    }
    b.here().settings.error_pages.push_back({static_cast<int>(*n), overwrite, target});
  }
}

void keepalive_timeout(builder& b, const directive& d) {
  const auto time = parse_time(d.name, d.args[0]);
  if (!time) {
    b.fail(d, time.error());
    return;
  }
  b.here().settings.keepalive_timeout = time->count();
  if (d.args.size() > 1) {
    const auto seconds = parse_seconds(d.name, d.args[1]);
    if (!seconds) {
      b.fail(d, seconds.error());
      return;
    }
    b.here().settings.keepalive_header_timeout = seconds->count();
  }
}

void large_client_header_buffers(builder& b, const directive& d) {
  const auto count = number_in(d.args[0]);
  const auto size = size_in(d.args[1]);
  if (!count || *count < 1 || !size || *size < 1) {
    b.fail(d, "invalid value in \"large_client_header_buffers\" directive");
    return;
  }
  b.here().settings.large_client_header_count = static_cast<std::size_t>(*count);
  b.here().settings.large_client_header_size = static_cast<std::size_t>(*size);
}

template <class T>
void choose(builder& b, const directive& d, T settings::*member,
            std::initializer_list<std::pair<std::string_view, T>> choices) {
  for (const auto& [name, value] : choices) {
    if (equal_ignoring_case(name, d.args[0])) {
      b.here().settings.*member = value;
      return;
    }
  }
  b.fail(d, "invalid value \"" + d.args[0] + "\"");
}

void in_file_only(builder& b, const directive& d) {
  choose<net::body_in_file>(b, d, &settings::client_body_in_file_only,
                            {{"off", net::body_in_file::off},
                             {"on", net::body_in_file::on},
                             {"clean", net::body_in_file::clean}});
}
void lingering_close(builder& b, const directive& d) {
  choose<net::lingering>(b, d, &settings::lingering_close,
                         {{"off", net::lingering::off},
                          {"on", net::lingering::on},
                          {"always", net::lingering::always}});
}
void satisfy(builder& b, const directive& d) {
  choose<net::satisfy_mode>(b, d, &settings::satisfy,
                            {{"all", net::satisfy_mode::all}, {"any", net::satisfy_mode::any}});
}
void if_modified_since(builder& b, const directive& d) {
  choose<int>(b, d, &settings::if_modified_since, {{"off", 0}, {"exact", 1}, {"before", 2}});
}
void server_tokens(builder& b, const directive& d) {
  choose<bool>(b, d, &settings::server_tokens, {{"on", true}, {"off", false}, {"build", true}});
}
void client_body_temp_path(builder& b, const directive& d) {
  b.here().settings.client_body_temp_path = b.writable_path(d.args[0]);
}

constexpr context_set hsl = http_server_location;
constexpr context_set hs = context::http | context::server;
constexpr context_set hsli = http_server_location_if;

constexpr directive_row flag_row(std::string_view name, context_set contexts, std::string_view standard,
                                 std::string_view help, void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::flag, .syntax = "on | off",
          .standard = standard, .help = help, .apply = apply, .once = true};
}
constexpr directive_row size_row(std::string_view name, context_set contexts, std::string_view standard,
                                 std::string_view help, void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::one, .syntax = "size",
          .standard = standard, .help = help, .apply = apply, .once = true};
}
constexpr directive_row time_row(std::string_view name, context_set contexts, std::string_view standard,
                                 std::string_view help, void (*apply)(builder&, const directive&)) {
  return {.name = name, .contexts = contexts, .arguments = takes::one, .syntax = "time",
          .standard = standard, .help = help, .apply = apply, .once = true};
}
constexpr directive_row temp_path_row(std::string_view name) {
  return {.name = name, .contexts = hsl,
          .arguments = takes::one | takes::two | takes::three | takes::four, .syntax = "folder",
          .help = "Accepted without effect.", .apply = accept, .once = true};
}

const directive_row rows[] = {
    {.name = "http", .contexts = context::main, .arguments = takes::none, .syntax = "{ … }",
     .merge = merging::none, .help = "The block for everything about HTTP.", .apply = http,
     .once = true, .body = body_kind::block, .opens = context::http},
    {.name = "server", .contexts = context::http, .arguments = takes::none, .syntax = "{ … }",
     .merge = merging::none, .help = "A virtual server.", .apply = server,
     .body = body_kind::block, .opens = context::server},
    {.name = "location", .contexts = context::server | context::location,
     .arguments = takes::one | takes::two, .syntax = "[ = | ~ | ~* | ^~ ] uri { … }",
     .merge = merging::none, .help = "What holds for a part of the URIs.", .apply = location,
     .body = body_kind::block, .opens = context::location},
    {.name = "types", .contexts = hsl, .arguments = takes::none, .syntax = "{ … }",
     .standard = "text/html html; image/gif gif; image/jpeg jpg;", .merge = merging::replace,
     .help = "Maps extensions of files to types.", .apply = types, .body = body_kind::pairs},
    {.name = "listen", .contexts = context::server, .arguments = takes::one_or_more,
     .syntax = "address[:port] | port | unix:path [default_server] [reuseport] [backlog=number]",
     .standard = "*:80", .merge = merging::none, .help = "Where the server accepts connections.",
     .apply = listen},
    {.name = "server_name", .contexts = context::server, .arguments = takes::one_or_more,
     .syntax = "name …", .standard = "\"\"", .merge = merging::none,
     .help = "The names of the server: exact, with `*` at an end, or `~` and a regular expression.",
     .apply = server_name},
    {.name = "root", .contexts = hsli, .arguments = takes::one, .syntax = "folder",
     .standard = "html", .help = "The folder of static files.", .apply = root, .once = true, .group = "root"},
    {.name = "alias", .contexts = context::location, .arguments = takes::one, .syntax = "folder",
     .merge = merging::none, .help = "The folder that stands for the location's prefix.",
     .apply = alias, .once = true, .group = "root"},
    {.name = "index", .contexts = hsl, .arguments = takes::one_or_more, .syntax = "file …",
     .standard = "index.html", .merge = merging::replace, .help = "What a URI that ends with `/` means.",
     .apply = index},
    {.name = "internal", .contexts = context::location, .arguments = takes::none, .syntax = "",
     .merge = merging::none, .help = "Makes the location unreachable for clients.", .apply = internal},
    {.name = "default_type", .contexts = hsl, .arguments = takes::one, .syntax = "type",
     .standard = "text/plain", .help = "The Content-Type of what has no other.", .apply = default_type, .once = true},
    {.name = "error_page", .contexts = hsli, .arguments = takes::two_or_more,
     .syntax = "code … [=[response]] uri", .merge = merging::replace,
     .help = "What is answered in place of an error.", .apply = error_page},
    flag_row("recursive_error_pages", hsl, "off", "Whether error pages may have error pages.",
             set_flag<&settings::recursive_error_pages>),
    {.name = "keepalive_timeout", .contexts = hsl, .arguments = takes::one | takes::two,
     .syntax = "time [header-time]", .standard = "75s",
     .help = "How long an idle connection stays open; 0: not at all.", .apply = keepalive_timeout, .once = true},
    {.name = "keepalive_requests", .contexts = hsl, .arguments = takes::one, .syntax = "number",
     .standard = "1000", .help = "How many requests a connection may bring.",
     .apply = set_number<&settings::keepalive_requests>, .once = true},
    time_row("keepalive_time", hsl, "1h", "How old a connection may get.", set_time<&settings::keepalive_time>),
    {.name = "keepalive_disable", .contexts = hsl, .arguments = takes::one_or_more,
     .syntax = "none | browser …", .standard = "msie6", .help = "Accepted without effect.", .apply = accept},
    time_row("client_header_timeout", hs, "60s", "How long a head may take to arrive.",
             set_time<&settings::client_header_timeout>),
    time_row("client_body_timeout", hsl, "60s", "How long a client may pause within a body.",
             set_time<&settings::client_body_timeout>),
    time_row("send_timeout", hsl, "60s", "How long a client may take nothing.",
             set_time<&settings::send_timeout>),
    time_row("lingering_time", hsl, "30s", "How long a rest of a body is taken at most.",
             set_time<&settings::lingering_time>),
    time_row("lingering_timeout", hsl, "5s", "How long a rest of a body is waited for.",
             set_time<&settings::lingering_timeout>),
    {.name = "lingering_close", .contexts = hsl, .arguments = takes::one,
     .syntax = "off | on | always", .standard = "on",
     .help = "Whether bytes are taken after the response, so that the client can read it.",
     .apply = lingering_close, .once = true},
    size_row("client_header_buffer_size", hs, "1k", "The usual size of a head.",
             set_size<&settings::client_header_buffer_size>),
    {.name = "large_client_header_buffers", .contexts = hs, .arguments = takes::two,
     .syntax = "number size", .standard = "4 8k",
     .help = "The longest line of a head and how much there may be in all.",
     .apply = large_client_header_buffers, .once = true},
    size_row("client_max_body_size", hsl, "1m", "The largest body; 0: any.",
             set_size<&settings::client_max_body_size>),
    size_row("client_body_buffer_size", hsl, "16k", "What of a body is kept in memory.",
             set_size<&settings::client_body_buffer_size>),
    {.name = "client_body_in_file_only", .contexts = hsl, .arguments = takes::one,
     .syntax = "on | clean | off", .standard = "off", .help = "Writes every body to a file.",
     .apply = in_file_only, .once = true},
    flag_row("client_body_in_single_buffer", hsl, "off", "Accepted: bodies in memory are in one piece.",
             set_flag<&settings::client_body_in_single_buffer>),
    {.name = "client_body_temp_path", .contexts = hsl,
     .arguments = takes::one | takes::two | takes::three | takes::four, .syntax = "folder",
     .standard = "client_body_temp", .help = "Where large bodies are put.", .apply = client_body_temp_path, .once = true},
    temp_path_row("proxy_temp_path"), temp_path_row("fastcgi_temp_path"),
    temp_path_row("uwsgi_temp_path"), temp_path_row("scgi_temp_path"),
    flag_row("ignore_invalid_headers", hs, "on", "Drops fields with odd names.",
             set_flag<&settings::ignore_invalid_headers>),
    flag_row("underscores_in_headers", hs, "off", "Whether `_` is a good byte in a name.",
             set_flag<&settings::underscores_in_headers>),
    flag_row("merge_slashes", hs, "on", "Whether `//` counts as `/`.", set_flag<&settings::merge_slashes>),
    flag_row("tcp_nodelay", hsl, "on", "Sends small pieces at once.", set_flag<&settings::tcp_nodelay>),
    flag_row("tcp_nopush", hsl, "off", "Accepted: heads and bodies leave together anyway.", accept),
    flag_row("sendfile", hsli, "off", "Accepted without effect.", accept),
    flag_row("reset_timedout_connection", hsl, "off", "Resets connections that timed out.",
             set_flag<&settings::reset_timedout_connection>),
    size_row("postpone_output", hsl, "1460", "How much output waits for more.",
             set_size<&settings::postpone_output>),
    flag_row("chunked_transfer_encoding", hsl, "on", "Whether HTTP/1.1 responses may be chunked.",
             set_flag<&settings::chunked_transfer_encoding>),
    {.name = "server_tokens", .contexts = hsl, .arguments = takes::one, .syntax = "on | off",
     .standard = "on", .help = "Whether the version is shown.", .apply = server_tokens, .once = true},
    flag_row("etag", hsl, "on", "ETag of static files.", set_flag<&settings::etag>),
    {.name = "if_modified_since", .contexts = hsl, .arguments = takes::one,
     .syntax = "off | exact | before", .standard = "exact", .help = "How the field is compared.",
     .apply = if_modified_since, .once = true},
    flag_row("msie_padding", hsl, "on", "Accepted without effect.", accept),
    flag_row("log_not_found", hsl, "on", "Whether missing files are logged.",
             set_flag<&settings::log_not_found>),
    flag_row("log_subrequest", hsl, "off", "Whether subrequests are logged.",
             set_flag<&settings::log_subrequest>),
    flag_row("absolute_redirect", hsl, "on", "Redirects of folders with host and port.",
             set_flag<&settings::absolute_redirect>),
    flag_row("port_in_redirect", hsl, "on", "Redirects with the port.",
             set_flag<&settings::port_in_redirect>),
    flag_row("server_name_in_redirect", hsl, "off", "Redirects with the server's first name.",
             set_flag<&settings::server_name_in_redirect>),
    {.name = "satisfy", .contexts = hsl, .arguments = takes::one, .syntax = "all | any",
     .standard = "all", .help = "Whether one of the access handlers is enough.", .apply = satisfy, .once = true},
    {.name = "aio", .contexts = hsl, .arguments = takes::one, .syntax = "on | off",
     .standard = "off", .help = "Accepted without effect.", .apply = accept},
    {.name = "types_hash_max_size", .contexts = hsl, .arguments = takes::one, .syntax = "size",
     .help = "Accepted without effect.", .apply = accept},
    {.name = "types_hash_bucket_size", .contexts = hsl, .arguments = takes::one, .syntax = "size",
     .help = "Accepted without effect.", .apply = accept},
    {.name = "server_names_hash_max_size", .contexts = context::http, .arguments = takes::one,
     .syntax = "size", .help = "Accepted without effect.", .apply = accept},
    {.name = "server_names_hash_bucket_size", .contexts = context::http, .arguments = takes::one,
     .syntax = "size", .help = "Accepted without effect.", .apply = accept},
    {.name = "variables_hash_max_size", .contexts = context::http, .arguments = takes::one,
     .syntax = "size", .help = "Accepted without effect.", .apply = accept},
    {.name = "variables_hash_bucket_size", .contexts = context::http, .arguments = takes::one,
     .syntax = "size", .help = "Accepted without effect.", .apply = accept},
    {.name = "gzip", .contexts = hsli, .arguments = takes::flag, .syntax = "off", .standard = "off",
     .help = "Accepted; responses are not compressed by this version.", .apply = accept},
    {.name = "connection_pool_size", .contexts = hs, .arguments = takes::one, .syntax = "size",
     .help = "Accepted without effect.", .apply = accept},
    {.name = "request_pool_size", .contexts = hs, .arguments = takes::one, .syntax = "size",
     .help = "Accepted without effect.", .apply = accept},
    {.name = "output_buffers", .contexts = hsl, .arguments = takes::two, .syntax = "number size",
     .help = "Accepted without effect.", .apply = accept},
    {.name = "upstream", .contexts = context::http, .arguments = takes::one, .syntax = "name { … }",
     .merge = merging::none, .help = "A group of servers to hand requests on to; accepted.",
     .apply = accept, .body = body_kind::block, .opens = context::upstream},
    {.name = "server", .contexts = context::upstream, .arguments = takes::one_or_more,
     .syntax = "address [parameter …]", .merge = merging::none, .help = "A server of the group.", .apply = accept},
    {.name = "keepalive", .contexts = context::upstream, .arguments = takes::one, .syntax = "number",
     .merge = merging::none, .help = "Idle connections kept to the group.", .apply = accept},
};


}  // namespace

const directive_module http_module{"ngx_http_core_module", "Servers, locations and their limits.", rows};

}  // namespace troupe::conf
