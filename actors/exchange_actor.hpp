// SPDX-License-Identifier: Apache-2.0
//
// An actor that owns an exchange: what connection, HTTP/2 stream and subrequest have in common. It
// finds the location, sends the exchange down the chain, takes it back, answers or redirects it,
// runs the output filters, and closes with the log phase. How bytes travel is the derived class's.
//
// The way of an exchange:
//
//   begin -> server chain -> find location -> location chain -> finish -> log chain -> ended
//               ^               ^  (URI changed)   |
//               |               +------------------+
//               +------- internal redirect --------+
//
// Source   "HTTP phases" of nginx's development guide; ngx_http_core_module.
// Thread   shard.
#pragma once

#include <deque>

#include "actors/exchange_box.hpp"
#include "actors/script_actor.hpp"
#include "actors/site.hpp"
#include "net/exchange.hpp"

namespace troupe::actors {

class exchange_actor : public script_actor, public net::exchange_owner {
public:
  exchange_actor(caf::actor_config& config, shard& home) : script_actor(config, home) {}

  // net::exchange_owner
  progress filter(net::exchange& x, bool last) override;
  bool commit_head(net::exchange& x) override;
  bool start_subrequest(net::exchange& x, net::subrequest& asked) final;

  /// Sends the exchange to the stage that it is in once more, later.
  void enter_again_after(std::int64_t ms);

  [[nodiscard]] exchange_box* current() const noexcept {
    return current_ ? &*current_ : nullptr;
  }

  // --- Letters ------------------------------------------------------------------------------------
  /// The stages are through with the exchange.
  void leave(const exchange_ref& exchange, std::uint32_t entry);
  /// What its stage waited for is over.
  void stage_is_due(const exchange_ref& exchange, std::uint32_t entry);

protected:
  // --- What a derived class does ----------------------------------------------------------------
  /// Writes the head that `x` describes; it is complete.
  virtual void send_head(net::exchange& x) = 0;
  /// Takes body_out, frames it and lets it go; `last`: nothing follows.
  virtual void send_body(net::exchange& x, bool last) = 0;
  /// Nothing is left to do for the exchange; the response is complete or broken.
  virtual void on_ended(exchange_box& box) = 0;
  /// Whether everything was sent, so that the log may be written. Called again by on_drained().
  [[nodiscard]] virtual bool is_drained(const net::exchange& x) const noexcept = 0;
  /// A location was found and its stages begin.
  virtual void on_placed(const net::location_settings&) {}
  /// Whether a refusal is answered with a page; else with its status alone.
  [[nodiscard]] virtual bool wants_error_pages() const noexcept { return true; }
  void on_progress(lua::script& resumed) override;

  // --- What a derived class calls ---------------------------------------------------------------
  /// The head of the request is complete; server and release are chosen.
  void begin(exchange_ref exchange);
  /// As begin(), for an exchange that is refused before any phase: finish() follows.
  void adopt(exchange_ref exchange);
  /// The body that was waited for is here.
  void body_arrived(net::exchange& x);
  /// The client has gone and the location wants to know: its callback runs, or the handler ends.
  void client_gone();
  /// Output that was waited for has gone, or never will: `error` says why.
  void flush_ended(net::exchange& x, const char* error);
  /// The last bytes of a finished response have gone out, or never will.
  void on_drained();
  /// The exchange cannot go on: the client has gone.
  void abort();
  /// Ends it with a status from outside the stages: a bad request, a body that is too large.
  void finish(int status);
  /// Sends the exchange to the stage that waits (its body has arrived …).
  void enter_again();
  /// Forgets the current exchange; its scripts end.
  void drop();
  [[nodiscard]] bool is_finishing() const noexcept { return step_ >= step::finishing; }

private:
  enum class step { idle, server, place, finishing, draining, logging };

  void find_place();
  void enter_place(const location& place);
  void internal_redirect(std::string_view uri, std::string_view args);
  void named_location(std::string_view name);
  void restart();
  bool redirect_allowed();
  bool error_page(int status);
  void special_response(int status);
  void bare_response(int status);
  void complete();
  void after_output();
  void log();
  void ended();
  /// One output through the filters and on; `filter` without its queue.
  progress pass(net::exchange& x, bool last);
  void end_filter_runs(net::exchange& x);
  void abandon_filters() noexcept;
  progress run_header_filter(exchange_box& box);
  static void apply_filter_status(net::exchange& x);
  progress run_body_filter(exchange_box& box, bool last);
  void filter_progress(lua::script& filter);
  bool not_modified(net::exchange& x) const;

  struct stage_timer final : net::timer {
    exchange_actor* self = nullptr;
    void on_timer() noexcept override;
  };

  exchange_ref current_;
  stage_timer stage_timer_;
  step step_ = step::idle;
  // A filter that waits, with the output that it works on, and what was said meanwhile.
  enum class filtering { none, header, body } filtering_ = filtering::none;
  struct queued_output {
    std::uint64_t run = 0;
    bool last = false;
    net::output_buffer bytes;
  };
  bool filter_last_ = false;
  bool completing_ = false;  ///< The filter works for complete(), not for a handler.
  net::output_buffer held_;  ///< The output whose head the header filter has.
  std::string filter_input_;
  std::deque<queued_output> queue_;
};

}  // namespace troupe::actors
