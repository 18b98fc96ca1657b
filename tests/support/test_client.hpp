// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/1.1 client for tests. get, post and request share one connection that is kept alive, and
// opened again when the server has closed it; start, raw and connect open one of their own.
//
// Thread   the test's.
// Errors   a response with status 0 and `error`.
// Called   by tests/e2e.
#pragma once

#include "tests/support/endpoint.hpp"
#include "tests/support/test_connection.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::tests {

class test_node;

/// A request under way on a connection of its own; the answer is read when asked for.
class pending_response {
 public:
  pending_response(test_connection connection, bool to_head)
      : connection_(std::move(connection)), to_head_(to_head) {}

  /// Waits for it.
  tests::response response() { return connection_.read_response(to_head_); }
  /// Whether a part of it is there already.
  [[nodiscard]] bool has_begun() const { return connection_.has_more(); }
  test_connection& connection() { return connection_; }

 private:
  test_connection connection_;
  bool to_head_;
};

class test_client {
 public:
  explicit test_client(endpoint server) : server_(std::move(server)) {}
  /// @param listener  which of the node's, in the order of its `listen` directives
  explicit test_client(const test_node& node, std::size_t listener = 0);

  response get(std::string_view path, const header_list& headers = {});
  response post(std::string_view path, std::string_view body, const header_list& headers = {});
  response request(std::string_view method, std::string_view path, std::string_view body = {},
                   const header_list& headers = {});

  /// Sends a request, "GET /path" or "POST /path", and returns at once.
  pending_response start(std::string_view method_and_path, std::string_view body = {},
                         const header_list& headers = {});
  /// Sends these bytes and reads one response.
  response raw(std::string_view bytes);
  /// Sends all requests at once, each "GET /path" without a body, then reads all responses.
  std::vector<response> pipeline(const std::vector<std::string>& requests);
  /// A connection without a word said.
  [[nodiscard]] test_connection connect() const { return test_connection(server_); }

  /// The bytes that `request` sends.
  [[nodiscard]] std::string message(std::string_view method, std::string_view path,
                                    std::string_view body = {},
                                    const header_list& headers = {}) const;

 private:
  endpoint server_;
  std::optional<test_connection> kept_;
};

}  // namespace troupe::tests
