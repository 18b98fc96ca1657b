// SPDX-License-Identifier: Apache-2.0
//
// `allow`, `deny` and `auth_request`.
//
// Source   https://nginx.org/en/docs/http/ngx_http_access_module.html,
//          https://nginx.org/en/docs/http/ngx_http_auth_request_module.html.
#include <arpa/inet.h>

#include <cstring>

#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {
namespace {

void rule(builder& b, const directive& d) {
  actors::access_rule made;
  made.allow = d.name == "allow";
  std::string text = d.args[0];
  if (text == "all") {
    made.is_all = true;
  } else if (text == "unix:") {
    made.is_unix = true;
  } else {
    int bits = -1;
    if (const auto slash = text.find('/'); slash != std::string::npos) {
      const auto n = number_in(std::string_view(text).substr(slash + 1));
      bits = n ? static_cast<int>(*n) : -2;
      text.resize(slash);
    }
    if (::inet_pton(AF_INET, text.c_str(), made.bytes.data()) == 1) {
      made.size = 4;
    } else if (::inet_pton(AF_INET6, text.c_str(), made.bytes.data()) == 1) {
      made.size = 16;
    }
    const int most = static_cast<int>(made.size) * 8;
    if (made.size == 0 || bits == -2 || bits > most) {
      b.fail(d, "invalid parameter \"" + d.args[0] + "\"");
      return;
    }
    made.prefix_bits = bits < 0 ? most : bits;
  }
  scope& here = b.here();
  if (here.is_first("allow")) here.rules = std::make_shared<std::vector<actors::access_rule>>();
  here.rules->push_back(made);
}

void auth_request(builder& b, const directive& d) {
  b.here().auth_request = d.args[0] == "off" ? nullptr : b.value(d, d.args[0]);
}

constexpr directive_row rows[] = {
    {.name = "auth_request", .contexts = http_server_location, .arguments = takes::one,
     .syntax = "uri | off", .standard = "off",
     .help = "Asks another location who may come in: 2xx lets in, 401 and 403 do not.",
     .apply = auth_request, .once = true},
    {.name = "allow", .contexts = http_server_location | context::limit_except, .arguments = takes::one,
     .syntax = "address | network | unix: | all", .merge = merging::replace,
     .help = "Lets clients in; the first rule that covers a client counts.", .apply = rule},
    {.name = "deny", .contexts = http_server_location | context::limit_except, .arguments = takes::one,
     .syntax = "address | network | unix: | all", .merge = merging::replace,
     .help = "Keeps clients out with 403.", .apply = rule},
};

}  // namespace

const directive_module access_module{"ngx_http_access_module", "Who may come in.", rows};

}  // namespace troupe::conf
