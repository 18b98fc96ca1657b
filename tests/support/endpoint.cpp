// SPDX-License-Identifier: Apache-2.0
#include "tests/support/endpoint.hpp"

#include <charconv>

namespace troupe::tests {

std::string endpoint::authority() const {
  if (!unix_path.empty()) return "localhost";
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return name + ":" + std::to_string(port);
}

endpoint endpoint::of(std::string_view text) {
  endpoint result;
  if (const auto scheme = text.find("://"); scheme != std::string_view::npos)
    text.remove_prefix(scheme + 3);
  if (text.starts_with("unix:")) {
    text.remove_prefix(5);
    while (text.ends_with(':') || text.ends_with('/')) text.remove_suffix(1);
    result.unix_path = text;
    return result;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    result.port = 80;
    result.host = text;
  } else {
    result.host = text.substr(0, colon);
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), result.port);
  }
  if (result.host.starts_with('[')) result.host = result.host.substr(1, result.host.find(']') - 1);
  if (result.host == "0.0.0.0" || result.host == "*") result.host = "127.0.0.1";
  if (result.host == "::") result.host = "::1";
  return result;
}

}  // namespace troupe::tests
