// SPDX-License-Identifier: Apache-2.0
//
// `add_header`, `more_set_headers`, `more_clear_headers`.
//
// Source   https://nginx.org/en/docs/http/ngx_http_headers_module.html; headers-more-nginx-module's
//          README.
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

#include "actors/shard_release.hpp"

namespace troupe::conf {
namespace {

using edit = std::function<void(actors::exchange_box&)>;

void clear_field(net::exchange& x, std::string_view name) {
  if (name.ends_with('*')) {
    const std::string_view prefix = name.substr(0, name.size() - 1);
    std::vector<std::string_view> found;
    for (const net::header_field& f : x.response_headers) {
      if (net::equals_ignoring_case(f.name.substr(0, prefix.size()), prefix)) found.push_back(f.name);
    }
    for (const std::string_view each : found) x.response_headers.remove(each);
    return;
  }
  if (net::equals_ignoring_case(name, "Content-Type")) {
    x.content_type = {};
    x.content_type_suppressed = true;
  } else if (net::equals_ignoring_case(name, "Content-Length")) {
    x.response_length = -1;
  } else if (net::equals_ignoring_case(name, "Server")) {
    x.server_hidden = true;
  } else if (net::equals_ignoring_case(name, "Date")) {
    x.date_hidden = true;
  } else if (net::equals_ignoring_case(name, "Last-Modified")) {
    x.last_modified = -1;
  }
  x.response_headers.remove(name);
}

void add_header(builder& b, const directive& d) {
  scope& here = b.here();
  if (here.is_first("add_header")) here.header_edits.clear();
  const bool always = d.args.size() == 3;
  if (always && d.args[2] != "always") return b.fail(d, "invalid parameter \"" + d.args[2] + "\"");
  here.header_edits.push_back([name = d.args[0], value = b.value(d, d.args[1]),
                               always](actors::exchange_box& box) {
    net::exchange& x = box.x;
    const int status = x.error_status != 0 ? x.error_status : x.status == 0 ? 200 : x.status;
    const bool good = status == 200 || status == 201 || status == 204 || status == 206 ||
                      status == 301 || status == 302 || status == 303 || status == 304 ||
                      status == 307 || status == 308;
    if (!always && !good) return;
    const std::string_view text = value->evaluate(x, box.release->configuration().variables);
    if (text.empty()) return;
    if (net::equals_ignoring_case(name, "Last-Modified") || net::equals_ignoring_case(name, "ETag")) {
      x.response_headers.set(name, text);
    } else {
      x.response_headers.add(name, text);
    }
  });
}

void more_clear_headers(builder& b, const directive& d) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < d.args.size(); ++i) {
    if (d.args[i] == "-s" || d.args[i] == "-t") {
      ++i;
      continue;
    }
    std::string rest = d.args[i];
    while (!rest.empty()) {
      const auto space = rest.find(' ');
      std::string name = rest.substr(0, space);
      rest = space == std::string::npos ? std::string() : rest.substr(space + 1);
      if (name.ends_with(':')) name.pop_back();
      if (!name.empty()) names.push_back(name);
    }
  }
  b.here().header_edits.push_back([names = std::move(names)](actors::exchange_box& box) {
    for (const std::string& name : names) clear_field(box.x, name);
  });
}

void more_set_headers(builder& b, const directive& d) {
  for (const std::string& text : d.args) {
    const auto colon = text.find(':');
    const std::string name = text.substr(0, colon);
    std::string rest = colon == std::string::npos ? std::string() : text.substr(colon + 1);
    rest.erase(0, rest.find_first_not_of(' '));
    b.here().header_edits.push_back([name, value = b.value(d, rest)](actors::exchange_box& box) {
      net::exchange& x = box.x;
      const std::string_view kept = value->evaluate(x, box.release->configuration().variables);
      if (kept.empty()) return clear_field(x, name);
      if (net::equals_ignoring_case(name, "Content-Type")) {
        x.content_type = kept;
      } else {
        x.response_headers.set(name, kept);
      }
    });
  }
}

constexpr directive_row rows[] = {
    {.name = "add_header", .contexts = http_server_location_if, .arguments = takes::two | takes::three,
     .syntax = "name value [always]", .merge = merging::replace,
     .help = "Adds a field to responses that went well; with `always` to all.", .apply = add_header},
    {.name = "more_set_headers", .contexts = http_server_location_if, .arguments = takes::one_or_more,
     .syntax = "'name: value' …", .merge = merging::append, .help = "Sets fields of responses.",
     .apply = more_set_headers},
    {.name = "more_clear_headers", .contexts = http_server_location_if, .arguments = takes::one_or_more,
     .syntax = "name …", .merge = merging::append,
     .help = "Removes fields of responses, `X-*` by prefix.", .apply = more_clear_headers},
};

}  // namespace

const directive_module headers_module{"ngx_http_headers_module", "Fields of responses.", rows};

}  // namespace troupe::conf
