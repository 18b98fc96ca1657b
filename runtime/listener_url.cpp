// SPDX-License-Identifier: Apache-2.0
#include "runtime/listener_url.hpp"

namespace troupe {

std::string url_of(const listener_info& listener) {
  std::string_view address = listener.address;
  if (address.starts_with("unix:")) return listener.address;
  std::string host;
  if (address.starts_with("0.0.0.0:")) {
    host = "127.0.0.1";
    address.remove_prefix(7);
  } else if (address.starts_with("[::]:")) {
    host = "[::1]";
    address.remove_prefix(4);
  }
  return listener.protocol + "://" + host + std::string(address);
}

}  // namespace troupe
