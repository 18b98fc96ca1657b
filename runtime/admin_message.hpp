// SPDX-License-Identifier: Apache-2.0
//
// A request to a running node over its control socket, and the answer: HTTP/1.1 with JSON bodies.
//
// Source   docs/admin-api.md.
// Thread   any; values.
// Called   by runtime/admin_server, admin_api, admin_client.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace troupe {

/// Who is at the other end of the control socket.
struct admin_peer {
  pid_t pid = 0;
  uid_t uid = 0;
};

struct admin_request {
  std::string method;  ///< "GET"
  std::string path;    ///< Decoded, without the query: "/v1/releases/7".
  std::map<std::string, std::string, std::less<>> query;  ///< Decoded.
  std::string body;
  admin_peer peer;

  /// Empty if it is not given.
  [[nodiscard]] std::string_view parameter(std::string_view name) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string_view{} : std::string_view(found->second);
  }
};

/// Sends one line of an answer that goes on; false: the client has gone, or the node stops.
using admin_lines = std::function<bool(std::string_view line)>;

struct admin_response {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  /// An answer that goes on, a line at a time, in place of `body`: it returns when there is nothing
  /// more to say. It calls with an empty line at least once a second, which sends nothing and tells
  /// whether anybody still listens.
  std::function<void(const admin_lines&)> stream;
};

}  // namespace troupe
