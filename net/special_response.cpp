// SPDX-License-Identifier: Apache-2.0
#include "net/special_response.hpp"

#include <array>
#include <string>

#include "net/exchange.hpp"
#include "net/version.hpp"

namespace troupe::net {
namespace {

struct pages {
  std::array<std::string, 600> with_tokens;
  std::array<std::string, 600> without_tokens;

  pages() {
    for (int status = 300; status < 600; ++status) {
      std::string title(status_text(status));
      if (title.empty() || status == 304) continue;
      if (status == 302) title = "302 Found";  // nginx's page is not as old-fashioned as its head.
      auto make = [&](std::string_view server) {
        return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" +
               title + "</h1></center>\r\n<hr><center>" + std::string(server) +
               "</center>\r\n</body>\r\n</html>\r\n";
      };
      with_tokens[static_cast<std::size_t>(status)] = make(server_token);
      without_tokens[static_cast<std::size_t>(status)] = make(server_name);
    }
  }
};

}  // namespace

std::string_view special_page(int status, bool tokens) {
  static const pages all;
  if (status < 300 || status >= 600) return {};
  const auto index = static_cast<std::size_t>(status);
  return tokens ? all.with_tokens[index] : all.without_tokens[index];
}

}  // namespace troupe::net
