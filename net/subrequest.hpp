// SPDX-License-Identifier: Apache-2.0
//
// A request that an exchange makes of its own server: what is asked, and room for the answer. Whoever
// makes one keeps it until on_answered() and may destroy it earlier: then nobody answers.
//
// Source   "ngx.location.capture" of ngx_lua's README.
// Thread   shard.
// Called   made by lua/api/capture and actors/stages/echo; answered by actors/subrequest_actor.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe::net {

class subrequest;

/// Who works on it.
class subrequest_runner {
public:
  /// The subrequest is gone.
  virtual void abandon() noexcept = 0;

protected:
  ~subrequest_runner() = default;
};

class subrequest {
public:
  using field = std::pair<std::string, std::string>;
  /// Whose variables it sees: its own, a copy of its parent's, or its parent's.
  enum class variables { own, copied, shared };

  subrequest() = default;
  virtual ~subrequest() {
    if (runner != nullptr) runner->abandon();
  }
  subrequest(const subrequest&) = delete;
  subrequest& operator=(const subrequest&) = delete;

  // --- Asked ---------------------------------------------------------------------------------------
  std::uint32_t method = 0x2;  ///< net::method; GET.
  std::string method_name = "GET";
  std::string uri;
  std::string args;
  std::vector<field> headers;        ///< Beside the parent's, in place of those of the same name.
  bool has_body = false;
  std::string body;
  bool always_forward_body = false;  ///< The parent's body also for methods other than POST and PUT.
  variables sees = variables::own;
  std::vector<std::pair<int, std::string>> assigned;  ///< Variable index and value.
  int ctx_slot = 0;                  ///< Of ngx.ctx in the VM; 0: a new table. The runner frees it.
  bool with_error_pages = false;     ///< A refusal has the body that a client would see.

  // --- Answered ------------------------------------------------------------------------------------
  int status = 0;
  std::vector<field> answer_headers;
  std::int64_t answer_length = -1;   ///< Content-Length; -1: unknown.
  std::string answer;
  bool truncated = false;            ///< The answer broke off.

  /// The answer is complete. The object may go from here on.
  virtual void on_answered() noexcept = 0;

  subrequest_runner* runner = nullptr;  ///< Null: not started, or answered.
};

}  // namespace troupe::net
