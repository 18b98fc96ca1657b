// SPDX-License-Identifier: Apache-2.0
//
// The other end of a control socket: what commands use to ask a running node.
//
// Source   docs/admin-api.md.
// Thread   main.
// Errors   no node there, no answer in time, an answer that is none: a diagnostic. A refusal of the
//          node is a reply with its status.
// Called   by runtime/commands.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "net/socket.hpp"
#include "troupe/diagnostic.hpp"

namespace troupe {

class admin_client {
 public:
  using clock = std::chrono::steady_clock;
  struct reply {
    int status = 0;
    std::string body;
    [[nodiscard]] bool is_success() const noexcept { return status >= 200 && status < 300; }
  };

  /// @param node      a data folder, or the path of a control socket.
  /// @param deadline  for all that follows; none: as long as it takes.
  [[nodiscard]] static tl::expected<admin_client, diagnostic> connect(
      const std::string& node, std::optional<clock::time_point> deadline);

  /// @param target  escaped: "/v1/diff?from=1&to=2".
  [[nodiscard]] tl::expected<reply, diagnostic> ask(std::string_view method,
                                                    std::string_view target,
                                                    std::string_view body = {});
  /// An answer that goes on: each line as it comes, until the node ends it or on_line returns
  /// false.
  /// @return the status; the body only of a refusal.
  [[nodiscard]] tl::expected<reply, diagnostic> follow(
      std::string_view method, std::string_view target, std::string_view body,
      const std::function<bool(std::string_view line)>& on_line);

 private:
  admin_client(net::unique_fd socket, std::string path, std::optional<clock::time_point> deadline);
  tl::expected<void, diagnostic> send_request(std::string_view method, std::string_view target,
                                              std::string_view body);
  struct response_head {
    int status = 0;
    std::size_t length = 0;
    bool is_chunked = false;
  };
  tl::expected<response_head, diagnostic> read_head();
  tl::expected<void, diagnostic> receive_more();
  tl::expected<std::string, diagnostic> read_line();
  tl::expected<std::string, diagnostic> read_bytes(std::size_t count);
  [[nodiscard]] diagnostic problem(std::string reason) const;
  /// Until the deadline, for poll(); -1: there is none.
  [[nodiscard]] int left_ms() const;

  net::unique_fd socket_;
  std::string path_;
  std::optional<clock::time_point> deadline_;
  std::string input_;
};

/// "checkout.v2" -> "checkout.v2", "a b/c" -> "a%20b%2Fc": a word as a part of a target.
std::string target_word(std::string_view word);

}  // namespace troupe
