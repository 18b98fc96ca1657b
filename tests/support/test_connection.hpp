// SPDX-License-Identifier: Apache-2.0
//
// One end of a connection, as bytes: what a client or a hand-made peer sends and sees, with
// HTTP/1.1 messages read from it when asked. Sends exactly what it is given, however wrong.
//
// Source   RFC 9112 sections 2, 6, 7 for reading a message.
// Thread   the test's, one at a time.
// Errors   reading gives what came, and `error` says what did not; nothing comes for `patience`: it
//          gives up.
// Called   by test_client and test_peer; by tests that cut, trickle, pipeline and vanish.
#pragma once

#include "tests/support/endpoint.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::tests {

using header_list = std::vector<std::pair<std::string, std::string>>;

/// A request or a response as it came.
struct http_message {
  std::string start_line;  ///< Without its line end.
  header_list headers;     ///< In their order, names as sent.
  std::string body;        ///< Without its framing.
  header_list trailers;
  std::string error;  ///< Why it is not whole; empty: it is.

  /// All values of a field, joined with ", "; nothing if it is not there.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
};

struct response : http_message {
  int status = 0;                 ///< 0: there is none, see `error`.
  std::vector<int> interim = {};  ///< 1xx that came before.
};

class test_connection {
 public:
  /// Connects; on failure the test fails and nothing can be read.
  explicit test_connection(const endpoint& to);
  /// Takes over a connected socket.
  explicit test_connection(int socket) noexcept;
  ~test_connection();
  test_connection(test_connection&& other) noexcept;
  test_connection& operator=(test_connection&& other) noexcept;
  test_connection(const test_connection&) = delete;
  test_connection& operator=(const test_connection&) = delete;

  /// @return false if the peer was gone before all was taken
  bool send(std::string_view bytes);
  /// Sends as much as the socket takes without waiting. @return how much that was
  std::size_t send_some(std::string_view bytes);

  /// @param to_head  the response belongs to HEAD and has no body
  response read_response(bool to_head = false);
  /// The next head, an interim response too; the body stays unread.
  response read_head();
  http_message read_request();

  std::string read_exactly(std::size_t bytes);  ///< Fewer if the peer closes before.
  std::string read_until(
      std::string_view end);  ///< With `end`; without it if the peer closes before.
  std::string read_rest();    ///< All until the peer closes.
  /// Whether the peer closes now, without another byte. Waits for either.
  bool is_closed_by_peer();
  /// Whether bytes or the peer's end are there already.
  [[nodiscard]] bool has_more() const;

  void finish_sending();  ///< Half-closes: the peer sees the end and can still answer.
  void reset();           ///< Vanishes with a RST.
  void close();
  void receive_buffer(int bytes);  ///< Small: the peer's writes stall early.

  [[nodiscard]] int socket() const noexcept { return socket_; }

 private:
  bool fill();  // reads more into buffer_; false at the end
  std::optional<std::string> line();
  bool read_fields(header_list& into, std::string& error);
  void read_body(http_message& message, bool until_close);
  void read_chunked(http_message& message);

  int socket_ = -1;
  std::string buffer_;
  std::string failure_;
};

/// Whether two field names are the same.
bool same_name(std::string_view a, std::string_view b) noexcept;

}  // namespace troupe::tests
