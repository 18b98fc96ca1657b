// SPDX-License-Identifier: Apache-2.0
//
// What connections to others need: `resolver`, `lua_ssl_*`.
//
// Source   https://nginx.org/en/docs/http/ngx_http_core_module.html#resolver; ngx_lua's README.
#include "net/resolver.hpp"
#include "net/tls_client.hpp"
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {
namespace {

void resolver(builder& b, const directive& d) {
  auto made = std::make_shared<net::resolver_settings>();
  for (const std::string& text : d.args) {
    const auto equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
    if (equals == std::string::npos) {
      const bool has_port = text.starts_with('[') ? text.find("]:") != std::string::npos
                                                  : text.find(':') != std::string::npos;
      const std::string host = !has_port ? text : text.substr(0, text.rfind(':'));
      if (!net::address::parse_literal(host)) {
        b.fail(d, "host not found in resolver \"" + text + "\"", "name servers are given by address");
        return;
      }
      if (!made->servers.empty()) made->servers += ',';
      made->servers += text;
    } else if (name == "valid") {
      const auto time = time_in(value);
      if (!time) return b.fail(d, "invalid parameter: " + text);
      made->valid_ms = time->count();
    } else if ((name == "ipv4" || name == "ipv6") && (value == "on" || value == "off")) {
      (name == "ipv4" ? made->ipv4 : made->ipv6) = value == "on";
    } else if (name != "status_zone") {
      return b.fail(d, "invalid parameter: " + text);
    }
  }
  if (!made->ipv4 && !made->ipv6) return b.fail(d, "\"ipv4\" and \"ipv6\" cannot both be \"off\"");
  b.here().settings.resolver = std::move(made);
}

// A block's own settings, begun as a copy of the outer block's.
net::tls_client_settings& tls_settings(builder& b) {
  auto& kept = b.here().settings.lua_tls_settings;
  auto made = kept ? std::make_shared<net::tls_client_settings>(*kept)
                   : std::make_shared<net::tls_client_settings>();
  kept = made;
  return *made;
}

void tls_protocols(builder& b, const directive& d) { tls_settings(b).protocols = d.args; }
void tls_ciphers(builder& b, const directive& d) { tls_settings(b).ciphers = d.args[0]; }
void tls_depth(builder& b, const directive& d) {
  const auto depth = parse_number(d.name, d.args[0]);
  if (!depth) return b.fail(d, depth.error());
  tls_settings(b).verify_depth = static_cast<int>(*depth);
}
void tls_trusted(builder& b, const directive& d) {
  tls_settings(b).trusted_certificate = b.conf_path(d.args[0]);
}
void tls_crl(builder& b, const directive& d) { tls_settings(b).crl = b.conf_path(d.args[0]); }
void tls_certificate(builder& b, const directive& d) {
  auto& list = tls_settings(b).certificates;
  if (b.here().is_first(d.name)) list.clear();
  list.push_back(b.conf_path(d.args[0]));
}
void tls_key(builder& b, const directive& d) {
  auto& list = tls_settings(b).certificate_keys;
  if (b.here().is_first(d.name)) list.clear();
  list.push_back(b.conf_path(d.args[0]));
}
void tls_key_log(builder& b, const directive& d) { tls_settings(b).key_log = b.path(d.args[0]); }
void tls_command(builder& b, const directive& d) {
  auto& list = tls_settings(b).commands;
  if (b.here().is_first(d.name)) list.clear();
  list.emplace_back(d.args[0], d.args[1]);
}

constexpr directive_row rows[] = {
    {.name = "resolver", .contexts = http_server_location, .arguments = takes::one_or_more,
     .syntax = "address … [valid=time] [ipv4=on|off] [ipv6=on|off]",
     .help = "Name servers; without it the system's resolver settings count.", .apply = resolver,
     .once = true},
    {.name = "resolver_timeout", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "time", .standard = "30s", .help = "How long a name may take to resolve.",
     .apply = set_time<&net::location_settings::resolver_timeout>, .once = true},
    {.name = "lua_ssl_protocols", .contexts = http_server_location, .arguments = takes::one_or_more,
     .syntax = "[TLSv1] [TLSv1.1] [TLSv1.2] [TLSv1.3]", .standard = "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3",
     .help = "Of cosockets.", .apply = tls_protocols, .once = true},
    {.name = "lua_ssl_ciphers", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "ciphers", .standard = "DEFAULT", .help = "Of cosockets, as OpenSSL writes them.",
     .apply = tls_ciphers, .once = true},
    {.name = "lua_ssl_verify_depth", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "number", .standard = "1", .help = "How long a chain of certificates may be.",
     .apply = tls_depth, .once = true},
    {.name = "lua_ssl_trusted_certificate", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "file", .help = "Authorities that sslhandshake trusts when it verifies.",
     .apply = tls_trusted, .once = true},
    {.name = "lua_ssl_crl", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "file", .help = "Revoked certificates.", .apply = tls_crl, .once = true},
    {.name = "lua_ssl_certificate", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "file", .merge = merging::replace, .help = "What cosockets show of themselves.",
     .apply = tls_certificate},
    {.name = "lua_ssl_certificate_key", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "file", .merge = merging::replace, .help = "The key of lua_ssl_certificate.",
     .apply = tls_key},
    {.name = "lua_ssl_key_log", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "file",
     .help = "Secrets of cosockets' connections are appended to it, as SSLKEYLOGFILE has them.",
     .apply = tls_key_log, .once = true},
    {.name = "lua_ssl_conf_command", .contexts = http_server_location, .arguments = takes::two,
     .syntax = "name value", .merge = merging::replace, .help = "Any other setting of OpenSSL.",
     .apply = tls_command},
};

}  // namespace

const directive_module sockets_module{"sockets", "Connections to others.", rows};

}  // namespace troupe::conf
