// SPDX-License-Identifier: Apache-2.0
#include "net/variables.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "net/decimal.hpp"
#include "net/exchange.hpp"
#include "net/live_config.hpp"
#include "net/settings.hpp"

namespace troupe::net {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

std::string_view number(exchange& x, std::uint64_t n) {
  return x.keep(decimal(n));
}

int response_status(const exchange& x) {
  if (x.error_status != 0) return x.error_status;
  if (x.status != 0) return x.status;
  return x.version == 9 ? 9 : 0;
}

// Header "x-foo" for variable suffix "x_foo".
bool header_matches(std::string_view name, std::string_view suffix) {
  if (name.size() != suffix.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    if (c == '-') c = '_';
    if (c != suffix[i]) return false;
  }
  return true;
}

// Several fields of one name are joined as nginx 1.22 does for Cookie and X-Forwarded-For; others
// give the first.
variable_value from_headers(exchange& x, const header_map& headers, std::string_view suffix) {
  const bool joined = suffix == "cookie" || suffix == "x_forwarded_for" || suffix == "cache_control" ||
                      suffix == "link" || suffix == "via";
  const std::string_view separator = suffix == "cookie" ? "; " : ", ";
  variable_value found;
  std::string all;
  bool several = false;
  for (const header_field& field : headers) {
    if (!header_matches(field.name, suffix)) continue;
    if (!found) {
      found = field.value;
      if (!joined) return found;
    } else {
      if (!several) all.assign(*found);
      several = true;
      all.append(separator);
      all.append(field.value);
    }
  }
  if (several) return x.keep(all);
  return found;
}

variable_value http_header(exchange& x, std::string_view suffix) {
  return from_headers(x, x.headers, suffix);
}

variable_value sent_http_header(exchange& x, std::string_view suffix) {
  if (suffix == "content_type") {
    if (x.content_type.empty()) return std::nullopt;
    return x.content_type;
  }
  if (suffix == "content_length") {
    if (x.response_length < 0) return std::nullopt;
    return number(x, static_cast<std::uint64_t>(x.response_length));
  }
  if (suffix == "transfer_encoding") {
    if (!x.response_chunked) return std::nullopt;
    return "chunked";
  }
  if (suffix == "connection") return x.keep_alive ? "keep-alive" : "close";
  return from_headers(x, x.response_headers, suffix);
}

// The first argument of that name; the name compares without case, the value stays as it is.
variable_value argument(exchange& x, std::string_view suffix) {
  std::string_view rest = x.args;
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    const auto equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    if (equals != std::string_view::npos && equals_ignoring_case(name, suffix)) {
      return pair.substr(equals + 1);
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return std::nullopt;
}

variable_value cookie(exchange& x, std::string_view suffix) {
  for (const header_field& field : x.headers) {
    if (!equals_ignoring_case(field.name, "cookie")) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      while (!rest.empty() && (rest.front() == ' ' || rest.front() == ';')) rest.remove_prefix(1);
      const auto end = rest.find(';');
      const std::string_view pair = rest.substr(0, end);
      const auto equals = pair.find('=');
      if (equals != std::string_view::npos) {
        std::string_view name = pair.substr(0, equals);
        while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
        if (equals_ignoring_case(name, suffix)) {
          std::string_view value = pair.substr(equals + 1);
          while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
          while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
          return value;
        }
      }
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return std::nullopt;
}

// Other than all else it is the node's, not the request's.
variable_value config_value(exchange& x, std::string_view suffix) {
  if (x.settings == nullptr || x.settings->config == nullptr) return std::nullopt;
  const auto now = x.settings->config->now();
  const auto found = now->by_variable.find(suffix);
  if (found == now->by_variable.end()) return std::nullopt;
  return x.keep(found->second->second.text);
}

struct family {
  std::string_view prefix;
  variable_value (*get)(exchange&, std::string_view);
};
constexpr family families[] = {
    {"arg_", argument},
    {"config_", config_value},
    {"http_", http_header},
    {"cookie_", cookie},
    {"sent_http_", sent_http_header},
    {"sent_trailer_", [](exchange&, std::string_view) -> variable_value { return std::nullopt; }},
    {"upstream_http_", [](exchange&, std::string_view) -> variable_value { return std::nullopt; }},
    {"upstream_cookie_", [](exchange&, std::string_view) -> variable_value { return std::nullopt; }},
};

// "2010-11-18T11:27:35+00:00"
std::string_view iso_time(exchange& x) {
  const std::time_t now = static_cast<std::time_t>(x.now_ms() / 1000);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &parts);
  std::string result(text, size);
  if (size > 2) result.insert(size - 2, 1, ':');
  return x.keep(result);
}

std::string_view document_root(exchange& x) {
  return x.settings != nullptr ? std::string_view(x.settings->root) : std::string_view{};
}

std::string_view seconds_with_ms(exchange& x, std::int64_t ms) {
  if (ms < 0) ms = 0;
  const decimal whole(static_cast<std::uint64_t>(ms / 1000));
  const decimal fraction(static_cast<std::uint64_t>(ms % 1000), 3);
  const std::string_view seconds = whole, thousandths = fraction;
  char* out = static_cast<char*>(x.memory.allocate(seconds.size() + 4, 1));
  std::memcpy(out, seconds.data(), seconds.size());
  out[seconds.size()] = '.';
  std::memcpy(out + seconds.size() + 1, thousandths.data(), 3);
  return {out, seconds.size() + 4};
}

using getter = variable_value (*)(exchange&, std::string_view);
using setter = void (*)(exchange&, std::string_view);

// Without a "?" there are none, which Lua sees as nil.
variable_value args_of(exchange& x, std::string_view) {
  if (x.args.data() == nullptr) return std::nullopt;
  return x.args;
}

void assign_args(exchange& x, std::string_view value) { x.args = x.keep(value); }

const exchange& main_of(const exchange& x) {
  const exchange* at = &x;
  while (at->parent != nullptr) at = at->parent;
  return *at;
}

struct builtin {
  std::string_view name;
  getter get;
  setter assign = nullptr;
};

#define TROUPE_GET []([[maybe_unused]] exchange & x, std::string_view) -> variable_value
const builtin builtins[] = {
    {"uri", TROUPE_GET { return x.uri; }},
    {"document_uri", TROUPE_GET { return x.uri; }},
    {"request_uri", TROUPE_GET { return main_of(x).unparsed_uri; }},
    {"args", args_of, assign_args},
    {"query_string", args_of},
    {"is_args", TROUPE_GET { return x.args.empty() ? std::string_view{} : "?"; }},
    {"request_method", TROUPE_GET {
       const std::string_view name = main_of(x).method_name;
       return name.empty() ? variable_value{} : variable_value{name};
     }},
    {"echo_request_method", TROUPE_GET { return x.method_name; }},
    {"echo_client_request_method", TROUPE_GET { return main_of(x).method_name; }},
    {"echo_client_request_headers", TROUPE_GET {
       // Without the empty line, as echo-nginx-module gives it.
       std::string_view head = main_of(x).head_bytes;
       if (head.ends_with("\r\n\r\n")) head.remove_suffix(2);
       else if (head.ends_with("\n\n")) head.remove_suffix(1);
       return head;
     }},
    {"echo_request_uri", TROUPE_GET { return x.uri; }},
    {"echo_request_body", TROUPE_GET {
       if (x.body.state != body_state::read) return std::nullopt;
       return x.body.memory();
     }},
    {"echo_response_status", TROUPE_GET { return number(x, static_cast<std::uint64_t>(response_status(x))); }},
    {"echo_timer_elapsed", TROUPE_GET { return seconds_with_ms(x, x.now_ms() - x.start_ms); }},
    {"request", TROUPE_GET { return main_of(x).request_line; }},
    {"request_body", TROUPE_GET {
       if (x.body.state != body_state::read || x.body.in_file() || x.body.size() == 0) return std::nullopt;
       return x.body.memory();
     }},
    {"request_body_file", TROUPE_GET {
       if (!x.body.in_file()) return std::nullopt;
       return std::string_view(x.body.file_path());
     }},
    {"request_length", TROUPE_GET { return number(x, x.request_bytes); }},
    {"request_time", TROUPE_GET { return seconds_with_ms(x, x.now_ms() - x.start_ms); }},
    {"request_completion", TROUPE_GET { return x.eof_sent ? "OK" : ""; }},
    {"request_id", TROUPE_GET {
       char text[40];
       std::snprintf(text, sizeof text, "%016llx%016llx",
                     static_cast<unsigned long long>(x.start_ms * 2654435761u) ^ x.client.number,
                     static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(&x)) * 0x9E3779B97F4A7C15ull +
                         x.client.requests);
       return x.keep(text);
     }},
    {"content_length", TROUPE_GET { return http_header(x, "content_length"); }},
    {"content_type", TROUPE_GET { return http_header(x, "content_type"); }},
    {"host", TROUPE_GET { return x.host.empty() ? x.server_name : x.host; }},
    {"server_name", TROUPE_GET { return x.server_name; }},
    {"server_addr", TROUPE_GET { return x.client.server_addr; }},
    {"server_port", TROUPE_GET { return number(x, x.client.server_port); }},
    {"server_protocol", TROUPE_GET {
       switch (main_of(x).version) {
         case 9: return "HTTP/0.9";
         case 1000: return "HTTP/1.0";
         case 1001: return "HTTP/1.1";
         case 2000: return "HTTP/2.0";
         default: return std::nullopt;
       }
     }},
    {"scheme", TROUPE_GET { return x.client.is_tls ? "https" : "http"; }},
    {"https", TROUPE_GET { return x.client.is_tls ? "on" : ""; }},
    {"remote_addr", TROUPE_GET { return x.client.remote_addr; }},
    {"remote_port", TROUPE_GET { return number(x, x.client.remote_port); }},
    {"binary_remote_addr", TROUPE_GET { return x.client.binary_remote_addr; }},
    {"remote_user", TROUPE_GET { return std::nullopt; }},
    {"connection", TROUPE_GET { return number(x, x.client.number); }},
    {"connection_requests", TROUPE_GET { return number(x, x.client.requests); }},
    {"document_root", TROUPE_GET { return document_root(x); }},
    {"realpath_root", TROUPE_GET {
       char* real = ::realpath(std::string(document_root(x)).c_str(), nullptr);
       if (real == nullptr) return std::nullopt;
       const std::string_view kept = x.keep(real);
       std::free(real);
       return kept;
     }},
    {"request_filename", TROUPE_GET { return x.keep(std::string(document_root(x)) + std::string(x.uri)); }},
    {"status", TROUPE_GET {
       return x.keep(decimal(static_cast<std::uint64_t>(response_status(x)), 3));
     }},
    {"body_bytes_sent", TROUPE_GET { return number(x, x.body_bytes_sent); }},
    {"bytes_sent", TROUPE_GET { return number(x, x.bytes_sent); }},
    {"hostname", TROUPE_GET {
       char text[256] = {};
       ::gethostname(text, sizeof text - 1);
       return x.keep(lower(text));
     }},
    {"pid", TROUPE_GET { return number(x, static_cast<std::uint64_t>(::getpid())); }},
    {"nginx_version", TROUPE_GET { return "1.22.1"; }},
    {"time_local", TROUPE_GET {
       return x.keep(x.clock != nullptr ? x.clock->log_time() : cached_clock().log_time());
     }},
    {"time_iso8601", TROUPE_GET { return iso_time(x); }},
    {"msec", TROUPE_GET { return seconds_with_ms(x, x.now_ms()); }},
    {"pipe", TROUPE_GET { return "."; }},
    {"limit_rate", TROUPE_GET { return "0"; }, [](exchange&, std::string_view) {}},
};
#undef TROUPE_GET

}  // namespace

variable_table::variable_table() {
  for (const builtin& b : builtins) {
    variable v;
    v.name = b.name;
    v.get = b.get;
    v.assign = b.assign;
    v.changeable = b.assign != nullptr;
    add(std::move(v));
  }
}

variable_index variable_table::add(variable v) {
  const auto index = static_cast<variable_index>(variables_.size());
  by_name_.emplace(v.name, index);
  variables_.push_back(std::move(v));
  return index;
}

variable_index variable_table::find(std::string_view name) const {
  const auto found = by_name_.find(lower(name));
  return found == by_name_.end() ? -1 : found->second;
}

variable_index variable_table::find_or_make(std::string_view name) {
  if (const variable_index known = find(name); known >= 0) return known;
  const std::string wanted = lower(name);
  for (const family& f : families) {
    if (wanted.size() > f.prefix.size() && wanted.starts_with(f.prefix)) {
      variable v;
      v.name = wanted;
      v.get = f.get;
      v.suffix = wanted.substr(f.prefix.size());
      return add(std::move(v));
    }
  }
  return -1;
}

variable_index variable_table::define(std::string_view name) {
  const std::string wanted = lower(name);
  if (const auto found = by_name_.find(wanted); found != by_name_.end()) {
    variable& v = variables_[static_cast<std::size_t>(found->second)];
    if (v.assign != nullptr || v.slot >= 0) return found->second;
    for (const family& f : families) {
      if (v.get == f.get) {  // `set $http_x …` overrides a member of a family.
        v.slot = static_cast<int>(slots_++);
        v.changeable = true;
        return found->second;
      }
    }
    return -1;
  }
  const variable_index made = find_or_make(name);
  variable& v = made >= 0 ? variables_[static_cast<std::size_t>(made)]
                          : variables_[static_cast<std::size_t>(add({.name = wanted}))];
  v.slot = static_cast<int>(slots_++);
  v.changeable = true;
  return find(wanted);
}

variable_value variable_table::get(exchange& x, variable_index i) const {
  const variable& v = at(i);
  const exchange& holder = x.variable_holder != nullptr ? *x.variable_holder : x;
  if (v.slot >= 0 && static_cast<std::size_t>(v.slot) < holder.variables.size()) {
    const variable_slot& slot = holder.variables[static_cast<std::size_t>(v.slot)];
    if (slot.is_set) return slot.is_null ? variable_value{} : variable_value{slot.text};
  }
  if (v.get != nullptr) return v.get(x, v.suffix);
  return std::nullopt;
}

variable_value variable_table::get_by_name(exchange& x, std::string_view name) const {
  char folded[128];
  std::string longer;
  std::string_view wanted(folded, name.size());
  if (name.size() <= sizeof folded) {
    std::transform(name.begin(), name.end(), folded, [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    });
  } else {
    wanted = longer = lower(name);
  }
  if (const auto found = by_name_.find(wanted); found != by_name_.end()) return get(x, found->second);
  for (const family& f : families) {
    if (wanted.size() > f.prefix.size() && wanted.starts_with(f.prefix)) {
      return f.get(x, wanted.substr(f.prefix.size()));
    }
  }
  return std::nullopt;
}

variable_table::assigned variable_table::set(exchange& x, variable_index i,
                                             variable_value value) const {
  const variable& v = at(i);
  if (v.assign != nullptr) {
    v.assign(x, value.value_or(std::string_view{}));
    return assigned::done;
  }
  if (v.slot < 0) return assigned::not_changeable;
  exchange& holder = x.variable_holder != nullptr ? *x.variable_holder : x;
  if (holder.variables.size() < slots_) holder.variables.resize(slots_);
  variable_slot& slot = holder.variables[static_cast<std::size_t>(v.slot)];
  slot.is_set = true;
  slot.is_null = !value.has_value();
  slot.text = value ? holder.keep(*value) : std::string_view{};
  return assigned::done;
}

variable_table::assigned variable_table::set_by_name(exchange& x, std::string_view name,
                                                     variable_value value) const {
  const variable_index i = find(name);
  if (i < 0) return assigned::unknown;
  if (!at(i).changeable) {
    // Members of families are nobody's variables until `set` makes them.
    for (const family& f : families) {
      if (name.size() > f.prefix.size() && lower(name).starts_with(f.prefix)) {
        return assigned::unknown;
      }
    }
  }
  return set(x, i, value);
}

}  // namespace troupe::net
