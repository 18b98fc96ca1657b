// SPDX-License-Identifier: Apache-2.0
//
// An exchange: one request and its response, with its variables, its output and where it stands in
// the phases. It is owned by the actor that talks to its client (actors/exchange_actor: a
// connection, an HTTP/2 stream, a subrequest) and handed from stage to stage by message; whoever
// holds it works on it alone.
//
// Source   RFC 9110, RFC 9112; the fields follow what nginx's variables and ngx_lua's API show.
// Thread   shard: never leaves the thread of its owner.
// Memory   views point into `memory` (reset with the exchange) or into `head_bytes`; objects are
//          pooled by the shard, so a steady state allocates nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/arena.hpp"
#include "net/belongings.hpp"
#include "net/cached_clock.hpp"
#include "net/header_map.hpp"
#include "net/log.hpp"
#include "net/output_buffer.hpp"
#include "net/request_body.hpp"
#include "net/settings.hpp"
#include "net/socket.hpp"

namespace troupe::net {

class exchange;
class stream;
class subrequest;

/// The bits of ngx.HTTP_GET …; `unknown` has only a name.
enum method : std::uint32_t {
  method_unknown = 0x1,
  method_get = 0x2,
  method_head = 0x4,
  method_post = 0x8,
  method_put = 0x10,
  method_delete = 0x20,
  method_mkcol = 0x40,
  method_copy = 0x80,
  method_move = 0x100,
  method_options = 0x200,
  method_propfind = 0x400,
  method_proppatch = 0x800,
  method_lock = 0x1000,
  method_unlock = 0x2000,
  method_patch = 0x4000,
  method_trace = 0x8000,
};

/// What the API asks of the actor that owns an exchange. All calls are on the shard's thread.
class exchange_owner {
public:
  virtual ~exchange_owner() = default;

  /// How far a request to the owner got; `waiting`: the owner tells later, by resuming the script.
  enum class progress { done, waiting, failed };

  /// Starts reading the body (RFC 9112 section 6). `done` if it is there already or there is none;
  /// `failed` if the client's body is refused: the owner ends the exchange with `failure_status`.
  virtual progress read_body(exchange& x) = 0;
  /// Reads and drops the body in the background.
  virtual void discard_body(exchange& x) = 0;
  /// Fixes the head: from now on status and headers are sent. Runs no Lua.
  virtual bool commit_head(exchange& x) = 0;
  /// Lets pending output go to the client. `waiting`: the socket is full.
  virtual progress flush(exchange& x) = 0;
  /// Lets the output filters work on the pending output and hands the result on; `last`: nothing
  /// follows. `waiting`: a filter waits, for this output or for some before it, behind which this
  /// stands in line; when run number x.filter_run is over the owner tells those who wait for it.
  virtual progress filter(exchange& x, bool last) = 0;
  /// Hands over the client's side. @param raw  both ways and to the end, else the body for reading.
  /// @param error  why not, if null is returned.
  virtual std::unique_ptr<stream> take_stream(exchange& x, bool raw, const char*& error) = 0;
  /// Begins a subrequest of `x`. False: they are nested too deep.
  virtual bool start_subrequest(exchange& x, subrequest& asked) = 0;
  /// The client is gone or the response failed: nothing more can be sent.
  [[nodiscard]] virtual bool is_broken(const exchange& x) const noexcept = 0;
};

/// A variable's value in one exchange: what `set` or Lua gave it.
struct variable_slot {
  std::string_view text;
  bool is_set = false;   ///< False: never assigned, the variable's getter decides.
  bool is_null = false;  ///< Assigned nil.
};

struct connection_facts {
  std::uint64_t number = 0;        ///< nginx's *N and $connection.
  std::uint64_t requests = 0;      ///< $connection_requests, counting this one.
  std::string_view remote_addr;    ///< Text without port; "unix:" for a Unix socket.
  std::uint16_t remote_port = 0;
  std::string_view binary_remote_addr;
  std::string_view server_addr;
  std::string_view listener;       ///< The address as configured: "0.0.0.0:80".
  std::uint16_t server_port = 0;
  bool is_tls = false;
};

/// Why the phases end or go elsewhere; set by whoever decides, read by the owner.
enum class direction : std::uint8_t {
  onward,             ///< To the next stage.
  reroute,            ///< The URI changed: search the location again.
  internal_redirect,  ///< To `redirect_uri` from the server's phases on.
  named_location,     ///< To the @name in `redirect_uri`.
  finish,             ///< To the response with `final_status`.
};

class exchange final : public log_context {
public:
  exchange();
  ~exchange() override;
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  /// Ready for another request: keeps what is worth keeping of its memory.
  void reset() noexcept;

  arena memory;
  cached_clock* clock = nullptr;    ///< The shard's; null: ask the system.
  exchange_owner* owner = nullptr;  ///< Null once the owner has gone: the exchange is abandoned.
  connection_facts client;

  // --- The request -----------------------------------------------------------------------------
  std::uint32_t method = method_unknown;
  std::string_view method_name;
  int version = 0;                      ///< 9, 1000, 1001, 2000; 0: the request line was bad.
  std::string head_bytes;               ///< As received, with the final empty line.
  std::size_t head_start = 0;           ///< Where the request line begins in it.
  std::string_view request_line;        ///< Without its line end.
  std::string_view unparsed_uri;        ///< $request_uri.
  std::string_view uri;                 ///< $uri: decoded path.
  std::string_view args;                ///< $args, raw.
  std::string_view host;                ///< Lower case, without port; "" if the client sent none.
  header_map headers;                   ///< As received, changed by ngx.req.set_header.
  std::optional<std::uint64_t> content_length;  ///< Of the request's body.
  bool is_chunked = false;
  bool keep_alive_wanted = false;
  bool expects_continue = false;
  request_body body;
  std::int64_t start_ms = 0;            ///< Wall clock.
  std::uint64_t request_bytes = 0;      ///< $request_length.

  // --- Where it stands -------------------------------------------------------------------------
  const location_settings* settings = nullptr;  ///< Of the location, or of the server before it.
  std::string_view server_name;                 ///< First name of the server; for log and $server_name.
  bool is_internal = false;
  bool is_subrequest = false;
  exchange* parent = nullptr;           ///< The exchange that a subrequest was made by.
  int nesting = 0;                      ///< How many parents there are above.
  int pending_subrequests = 0;          ///< That a coroutine waits for.
  bool uri_changed = false;
  bool valid_unparsed_uri = true;       ///< False once $uri was rewritten.
  int redirects_left = 10;              ///< Internal redirects and re-searches.
  direction next = direction::onward;
  int final_status = 0;                 ///< With direction::finish: 0 means "the response is complete".
  std::string_view redirect_uri;
  std::string_view redirect_args;
  const void* route = nullptr;          ///< actors: the shard's location; opaque here.
  const void* server = nullptr;         ///< actors: the shard's server; opaque here.
  std::uint32_t position = 0;           ///< Index in the current chain.
  std::uint32_t step = 0;               ///< A stage's own progress between its waits.
  bool stage_entered = false;           ///< The stage was entered before and waited.
  int access_code = 0;                  ///< `satisfy any`: the refusal seen so far.

  // --- Variables -------------------------------------------------------------------------------
  std::vector<variable_slot> variables;          ///< By index of the site's variable table.
  exchange* variable_holder = nullptr;  ///< Whose `variables` count; null: its own.
  std::vector<std::string_view> captures;        ///< $0 … of the last regex location, `if`, rewrite.

  // --- The response ----------------------------------------------------------------------------
  int status = 0;                       ///< 0: not set.
  int error_status = 0;                 ///< Set by the core (special responses); wins over status.
  std::string_view status_line;         ///< Own reason phrase: "200 Fine"; "" for the usual one.
  header_map response_headers;          ///< Without the fields that have members below.
  std::string_view content_type;        ///< "" none yet.
  bool content_type_suppressed = false; ///< ngx.header.content_type = nil.
  std::int64_t response_length = -1;    ///< Content-Length; -1: unknown.
  std::int64_t last_modified = -1;      ///< Seconds; -1: none.
  bool header_sent = false;             ///< The head is fixed (not yet necessarily on the wire).
  bool header_only = false;             ///< HEAD, 204, 304.
  bool response_chunked = false;
  bool keep_alive = false;              ///< Decided with the head.
  bool close_after = false;             ///< Somebody asked for Connection: close.
  bool server_hidden = false;           ///< Server was cleared.
  bool date_hidden = false;             ///< Date was cleared.
  bool eof_sent = false;                ///< The last chunk was handed in.
  bool buffering_http10 = false;        ///< Output is gathered for a Content-Length.
  bool disable_not_modified = false;
  bool failed = false;                  ///< A filter failed or the client has gone.
  bool aborted = false;                 ///< Close without a proper end.
  output_buffer body_out;               ///< Output of the handler that filters have not seen yet.
  output_buffer wire;                   ///< Framed bytes that the socket has not taken yet.
  bool default_type_wanted = true;      ///< Content-Type may come from default_type.
  bool has_header_filter = false;       ///< The location has Lua filters: output takes the slow path.
  bool has_body_filter = false;
  std::uint64_t body_bytes_sent = 0;
  std::uint64_t bytes_sent = 0;

  unique_fd file;                       ///< That a static response is read from.
  std::uint64_t file_position = 0;

  // --- Lua -------------------------------------------------------------------------------------
  int ctx_ref = 0;                       ///< Slot of ngx.ctx in the VM; 0: none yet.
  int slice_errors = 0;                  ///< How often lua_max_slice raised an error in its code.
  bool header_filter_done = false;
  bool headers_edited = false;          ///< add_header and its kin were applied.
  int filter_status = 0;                ///< ngx.exit(code) of a header filter; 0: none.
  std::vector<std::string_view> set_arguments;  ///< ngx.arg of set_by_lua.
  std::string_view filter_chunk;        ///< ngx.arg[1] of a running body filter.
  bool filter_eof = false;              ///< ngx.arg[2].
  bool filter_ended = false;            ///< A body filter forced the end: later input is dropped.

  belongings sockets;                   ///< Made by its Lua code.
  bool socket_taken = false;            ///< By ngx.req.socket.
  bool raw_socket_taken = false;        ///< Both ways: nothing else may be sent.
  bool body_being_made = false;         ///< Between ngx.req.init_body and finish_body.
  std::vector<std::uint64_t> body_waiters;   ///< Tokens of the coroutines that wait for the body.
  std::uint64_t filter_run = 0;         ///< Number of the last output that was given to the filters.
  std::uint64_t filter_done = 0;        ///< And of the last that they have let go.
  struct filter_waiter {
    std::uint64_t run = 0;
    std::uint64_t token = 0;
  };
  std::vector<filter_waiter> filter_waiters;  ///< Coroutines whose output the filters still have.
  bool stage_waits_filter = false;      ///< The stage waits until they have let go of all output.
  bool stage_waits_flush = false;       ///< The stage waits until the socket has taken all output.
  std::vector<std::uint64_t> flush_waiters;  ///< Tokens of those that wait for an empty socket.
  const char* flush_error = nullptr;    ///< Why they did so in vain.

  // --- Log -------------------------------------------------------------------------------------
  const log_context* log_target = nullptr;  ///< Where the lines of this exchange go.
  std::string_view action;                  ///< "sending to client": inserted as "while …".
  [[nodiscard]] bool enabled(log_level level) const noexcept override;
  /// Adds "*N ", the action and ", client: …, server: …, request: …, host: …".
  void write(log_level level, std::string_view text) const noexcept override;

  [[nodiscard]] std::int64_t now_ms() const noexcept {
    return clock != nullptr ? clock->wall_ms() : cached_clock().wall_ms();
  }

  /// A copy that lives as long as the exchange.
  std::string_view keep(std::string_view text) { return memory.copy(text); }
};

/// The usual reason phrase of a status: "404 Not Found"; "" for unknown ones.
std::string_view status_text(int status) noexcept;

}  // namespace troupe::net
