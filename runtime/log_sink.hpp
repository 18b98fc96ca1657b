// SPDX-License-Identifier: Apache-2.0
//
// The error log of a context (a node, a server, a location): its `error_log` directives, each a
// file and a level, and the line that tools parse:
//
//   2026/01/02 03:04:05 [error] 7#1: *42 text, client: 127.0.0.1, server: …
//
// Source   https://nginx.org/en/docs/ngx_core_module.html#error_log; the line is
//          ngx_log_error_core()'s.
// Thread   any; immutable.
// Memory   writing allocates nothing; a text is cut at 4096 bytes, as OpenResty does.
// Called   by the loader (making it), by the connections' log_contexts and by runtime/node.
#pragma once

#include "net/log.hpp"
#include "runtime/log_file.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class log_sink final : public net::log_context {
 public:
  struct target {
    std::shared_ptr<const log_file> file;
    net::log_level level;  ///< This one and the graver ones are written.
  };

  explicit log_sink(std::vector<target> targets);

  [[nodiscard]] bool enabled(net::log_level level) const noexcept override {
    return level <= level_;
  }
  /// A line of no connection.
  void write(net::log_level level, std::string_view text) const noexcept override;

  /// @param connection  its number, 0: none.
  /// @param tail        ", client: …", with peers' bytes escaped (net::append_escaped).
  void write(net::log_level level, std::uint64_t connection, std::string_view text,
             std::string_view tail) const noexcept;

  /// The gravest level that is not written is above it.
  [[nodiscard]] net::log_level level() const noexcept { return level_; }

 private:
  std::vector<target> targets_;
  net::log_level level_ = net::log_level::stderr_;
};

/// One error_log directive.
struct error_log_target {
  std::string path;  ///< As written; "stderr" is no path.
  net::log_level level = net::log_level::error;
};

/// Reads the arguments of `error_log`.
/// @return the reason in nginx's words; `syslog:` and `memory:` are refused.
[[nodiscard]] tl::expected<error_log_target, std::string> parse_error_log(
    std::span<const std::string> arguments);

/// "error" into the level; also the names of `--log-level`.
[[nodiscard]] tl::expected<net::log_level, std::string> parse_log_level(std::string_view name);

}  // namespace troupe
