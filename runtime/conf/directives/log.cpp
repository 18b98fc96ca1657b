// SPDX-License-Identifier: Apache-2.0
//
// `access_log` and `log_format`.
//
// Source   https://nginx.org/en/docs/http/ngx_http_log_module.html.
#include "runtime/conf/access_log.hpp"
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {
namespace {

void log_format_directive(builder& b, const directive& d) {
  std::string text;
  bool escapes = true;
  for (std::size_t i = 1; i < d.args.size(); ++i) {
    if (i == 1 && d.args[i].starts_with("escape=")) {
      escapes = d.args[i] != "escape=none";
      continue;
    }
    text += d.args[i];
  }
  b.log_formats[d.args[0]] = parse_log_format(b.site(), text, escapes);
}

void access_log(builder& b, const directive& d) {
  scope& here = b.here();
  if (here.is_first("access_log")) {
    here.access_logs.clear();
    here.access_log_off = false;
  }
  if (d.args[0] == "off") {
    if (d.args.size() > 1) b.fail(d, "invalid parameter \"" + d.args[1] + "\"");
    here.access_log_off = true;
    return;
  }
  if (d.args[0].starts_with("syslog:")) {
    b.fail(d, "the \"syslog:\" target of \"access_log\" is not supported",
           "log to a file and let the system's log reader follow it");
    return;
  }
  access_log_line line;
  line.path = d.args[0];
  line.format = "combined";
  for (std::size_t i = 1; i < d.args.size(); ++i) {
    const std::string& word = d.args[i];
    if (word.starts_with("buffer=")) {
      const auto size = size_in(std::string_view(word).substr(7));
      if (!size || *size <= 0) return b.fail(d, "invalid buffer size \"" + word.substr(7) + "\"");
      line.buffer = static_cast<std::size_t>(*size);
    } else if (word.starts_with("flush=")) {
      const auto time = time_in(std::string_view(word).substr(6));
      if (!time || time->count() <= 0) return b.fail(d, "invalid flush time \"" + word.substr(6) + "\"");
      line.flush_ms = time->count();
    } else if (i == 1) {
      line.format = word;
    } else {
      return b.fail(d, "invalid parameter \"" + word + "\"");
    }
  }
  if (!b.log_formats.contains(line.format)) {
    return b.fail(d, "unknown log format \"" + line.format + "\"");
  }
  here.access_logs.push_back(std::move(line));
}

constexpr directive_row rows[] = {
    {.name = "log_format", .contexts = context::http, .arguments = takes::two_or_more,
     .syntax = "name [escape=default|none] string …", .standard = "combined \"…\"",
     .merge = merging::none, .help = "Names a form of access log lines.", .apply = log_format_directive},
    {.name = "access_log", .contexts = http_server_location_if, .arguments = takes::one_or_more,
     .syntax = "file [format [buffer=size] [flush=time]] | off", .standard = "off",
     .merge = merging::replace, .help = "Writes a line for each request.", .apply = access_log},
};

}  // namespace

const directive_module log_module{"ngx_http_log_module", "Access logs.", rows};

}  // namespace troupe::conf
