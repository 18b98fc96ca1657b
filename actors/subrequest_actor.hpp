// SPDX-License-Identifier: Apache-2.0
//
// The actor of a subrequest: an exchange without a client, whose answer goes to the exchange that
// asked. It lives on its parent's shard, sees the parent's head and body, and is told to end when
// nobody wants the answer any more.
//
// Source   ngx_http_subrequest() of nginx's development guide; "ngx.location.capture" of ngx_lua.
// Thread   shard.
// Called   made by exchange_actor::start_subrequest().
#pragma once

#include "actors/exchange_actor.hpp"
#include "net/stream.hpp"
#include "net/subrequest.hpp"

namespace troupe::actors {

class subrequest_actor final : public exchange_actor, private net::subrequest_runner {
public:
  /// How deep subrequests may be nested (NGX_HTTP_MAX_SUBREQUESTS).
  static constexpr int most_nested = 50;

  subrequest_actor(caf::actor_config& config, shard& home);

  /// Makes the actor, or takes one that rests; it begins with its first letter.
  static void start(shard& home, exchange_ref parent, net::subrequest& asked);

  caf::behavior make_behavior() override;
  void on_exit() override;
  void on_begin() override;
  const char* name() const override { return "troupe.subrequest"; }

  // net::exchange_owner
  progress read_body(net::exchange& x) override;
  void discard_body(net::exchange&) override {}
  progress flush(net::exchange& x) override;
  std::unique_ptr<net::stream> take_stream(net::exchange&, bool, const char*&) override {
    return nullptr;
  }
  [[nodiscard]] bool is_broken(const net::exchange&) const noexcept override { return false; }

protected:
  void send_head(net::exchange& x) override;
  void send_body(net::exchange& x, bool last) override;
  void on_ended(exchange_box& box) override;
  [[nodiscard]] bool is_drained(const net::exchange&) const noexcept override { return true; }
  [[nodiscard]] bool wants_error_pages() const noexcept override {
    return asked_ != nullptr && asked_->with_error_pages;
  }

private:
  void abandon() noexcept override;
  void take_over_body(net::exchange& x);
  void end() noexcept;

  caf::strong_actor_ptr self_;  ///< Keeps this alive until it has ended.
  exchange_ref parent_;
  net::subrequest* asked_ = nullptr;  ///< Null: nobody waits.
  bool has_begun_ = false;      ///< The letter that begins the present work has come.
};

}  // namespace troupe::actors
