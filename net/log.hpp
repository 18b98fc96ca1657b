// SPDX-License-Identifier: Apache-2.0
//
// The log as every layer writes it: a level, a context and a text. Where lines go and how they look
// is the sink's affair (runtime/log_sink writes nginx's format).
//
// Source   ngx_core's error log levels, https://nginx.org/en/docs/ngx_core_module.html#error_log.
// Thread   any.
// Called   by all layers; the sink is set by runtime/node before the first thread starts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace troupe::net {

/// Numbers as in ngx.STDERR .. ngx.DEBUG.
enum class log_level : int { stderr_ = 0, emerg, alert, crit, error, warn, notice, info, debug };

/// nginx's name of a level: "error"; "" for stderr_.
std::string_view name(log_level level) noexcept;

/// Where a line comes from; each source of lines derives from it.
class log_context {
 public:
  virtual ~log_context() = default;
  /// Whether a line of this level would be written: checked before anything is formatted.
  [[nodiscard]] virtual bool enabled(log_level level) const noexcept = 0;
  /// Writes one entry. The context adds its own tail (", client: …") and the connection number.
  virtual void write(log_level level, std::string_view text) const noexcept = 0;
};

/// Appends what a peer sent (a request line, a host, a header) so that it cannot forge lines or
/// talk to a terminal: control bytes become \xHH, all else stays as it is.
void append_escaped(std::string& out, std::string_view bytes);

/// A context without any tail that discards everything; for tests and as a default.
log_context& null_log() noexcept;

}  // namespace troupe::net
