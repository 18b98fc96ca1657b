// SPDX-License-Identifier: Apache-2.0
//
// What this node's own process asks of the controller, wherever that is: orders, contents, lists. A
// link that is lost meanwhile loses nothing: all of it can be asked again, and is.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster.
// Errors   each request ends: with its answer, what refused it, or that no controller answered.
// Called   by cluster/agent_core.
#pragma once

#include "cluster/links.hpp"

#include <tl/expected.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace troupe::cluster {

/// How a reason ends when an order was under way and nobody says how it went.
inline constexpr std::string_view may_be_done_words = "what was ordered may be done or not";

class own_requests {
 public:
  using on_progress = std::function<void(const progress&)>;
  using on_missing = std::function<void(tl::expected<std::vector<digest>, refusal>)>;
  using on_put = std::function<void(tl::expected<void, refusal>)>;
  using on_answer = std::function<void(tl::expected<query_answer, refusal>)>;

  struct options {
    std::chrono::milliseconds patience{30'000};  ///< Without a word of the controller.
    std::uint64_t asks_from = agent_asks;        ///< Its numbers are above this.
  };
  own_requests(options how, upper_link& up) : how_(how), up_(up) {}

  void submit(signed_order what, on_progress then, instant now);
  void missing(std::vector<digest> names, on_missing then, instant now);
  /// In pieces, each when the one before it has arrived.
  void put(const digest& name, std::string_view content, on_put then, instant now);
  void query(std::string what, on_answer then, instant now);

  /// @return whether it answers one of these.
  bool on_message(const message& what, instant now);
  /// Asks all that is open again.
  void ask_again();
  void tick(instant now);
  [[nodiscard]] instant next_tick() const;
  [[nodiscard]] bool is_idle() const noexcept { return open_.empty(); }
  /// Nobody will answer any more.
  void end(const std::string& why);

 private:
  struct request {
    message asked;
    instant until;
    std::chrono::milliseconds patience;
    on_progress progressed;
    on_missing listed;
    on_put stored;
    on_answer answered;
    std::string content;  ///< Of a put: the whole zstd frame.
    std::size_t offset = 0;
  };
  void ask(request what, instant now);
  void next_piece(std::uint64_t ask, request& its);
  static void fail(request& its, const std::string& error, const std::string& reason);

  options how_;
  upper_link& up_;
  std::uint64_t asks_ = 0;  ///< The last; 0: none yet.
  std::map<std::uint64_t, request> open_;
};

}  // namespace troupe::cluster
