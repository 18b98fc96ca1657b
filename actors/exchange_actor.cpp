// SPDX-License-Identifier: Apache-2.0
#include "actors/exchange_actor.hpp"

#include "actors/match_pattern.hpp"
#include "actors/shard_release.hpp"
#include "net/complex_value.hpp"
#include "net/http_date.hpp"
#include "net/special_response.hpp"

namespace troupe::actors {

using net::direction;
using net::log_level;

// --- The way through the phases -------------------------------------------------------------------

void exchange_actor::adopt(exchange_ref exchange) {
  current_ = std::move(exchange);
  current_->owner = this;
  current_->x.owner = this;
  step_ = step::server;
}

void exchange_actor::begin(exchange_ref exchange) {
  adopt(std::move(exchange));
  restart();
}

void exchange_actor::body_arrived(net::exchange& x) {
  if (x.body_waiters.empty()) {
    enter_again();
    return;
  }
  for (const std::uint64_t waiter : x.body_waiters) wake(static_cast<lua::wait_token>(waiter));
  x.body_waiters.clear();
}

void exchange_actor::flush_ended(net::exchange& x, const char* error) {
  x.flush_error = error;
  for (const std::uint64_t waiter : x.flush_waiters) wake(static_cast<lua::wait_token>(waiter));
  x.flush_waiters.clear();
  if (std::exchange(x.stage_waits_flush, false)) enter_again();
}

void exchange_actor::client_gone() {
  exchange_box& box = *current_;
  if (box.handler && box.handler->run_abort_handler()) {
    on_progress(*box.handler);
  } else {
    finish(499);
  }
}

void exchange_actor::enter_again_after(std::int64_t ms) {
  stage_timer_.self = this;
  loop().timers().arm(stage_timer_, ms);
}

void exchange_actor::stage_timer::on_timer() noexcept {
  self->home().letters().stage_due(self->current_, self->current_->entry);
}

void exchange_actor::stage_is_due(const exchange_ref& exchange, std::uint32_t entry) {
  // It may come too late: for a stage that was left, or for an exchange that has ended.
  if (!current_ || &*exchange != &*current_ || entry != current_->entry) return;
  enter_again();
}

void exchange_actor::restart() {
  exchange_box& box = *current_;
  const location& defaults = box.server->defaults;
  step_ = step::server;
  box.place = nullptr;
  box.x.settings = &defaults.settings;
  box.x.log_target = defaults.error_log.get();
  const chain& stages = box.release->stages_of(defaults);
  if (stages.empty()) {
    find_place();
  } else {
    stages.begin(current_);
  }
}

void exchange_actor::leave(const exchange_ref& exchange, std::uint32_t entry) {
  if (!current_ || &*exchange != &*current_) return;  // It was dropped meanwhile.
  if (entry != exchange->entry) return;               // It has left these stages already.
  net::exchange& x = exchange->x;
  if (step_ == step::logging) {
    ended();
    return;
  }
  switch (x.next) {
    case direction::onward:
      if (step_ == step::server) {
        find_place();
      } else {
        finish(404);
      }
      return;
    case direction::reroute:
      x.next = direction::onward;
      if (step_ == step::place && !redirect_allowed()) {
        finish(500);
        return;
      }
      find_place();
      return;
    case direction::internal_redirect: internal_redirect(x.redirect_uri, x.redirect_args); return;
    case direction::named_location: named_location(x.redirect_uri); return;
    case direction::finish: finish(x.final_status); return;
  }
}

bool exchange_actor::redirect_allowed() {
  net::exchange& x = current_->x;
  if (x.redirects_left-- > 0) return true;
  if (x.enabled(log_level::error)) {
    x.write(log_level::error, "rewrite or internal redirection cycle while processing \"" +
                                  std::string(x.uri) + "\"");
  }
  return false;
}

void exchange_actor::find_place() {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  x.uri_changed = false;
  const auto& places = box.server->places;
  const auto found = box.server->locations->find(x.uri, [&](std::uint32_t number) {
    return match_pattern(*places[number]->pattern, x.uri, x, box.release->configuration().variables);
  });
  if (found.location == lua::location_match::none) {
    enter_place(box.server->fallback);
    return;
  }
  const location& place = *places[found.location];
  if (place.settings.internal && !x.is_internal) {
    box.place = &place;
    x.settings = &place.settings;
    finish(404);
    return;
  }
  enter_place(place);
}

namespace {
// Whether code of its own begins with it, for lua_code_cache off: not if it goes on for code that has
// begun already.
bool begins_code(const net::exchange& x) {
  if (!x.is_subrequest) return !x.is_internal;
  return x.parent->settings == nullptr || x.parent->settings->lua_code_cache;
}
}  // namespace

void exchange_actor::enter_place(const location& place) {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  step_ = step::place;
  box.use(place);
  if (!place.settings.lua_code_cache && begins_code(x)) box.release->machine().forget_modules();
  const std::int64_t limit = place.settings.client_max_body_size;
  if (!x.is_subrequest && limit > 0 && x.content_length &&
      *x.content_length > static_cast<std::uint64_t>(limit) &&
      x.body.state == net::body_state::unread) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error, "client intended to send too large body: " +
                                    std::to_string(*x.content_length) + " bytes");
    }
    x.close_after = true;
    discard_body(x);  // The error page may not have it either.
    finish(413);
    return;
  }
  box.release->stages_of(place).begin(current_);
  on_placed(place.settings);
}

void exchange_actor::internal_redirect(std::string_view uri, std::string_view args) {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  if (x.redirects_left-- <= 0) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error,
              "rewrite or internal redirection cycle while internally redirecting to \"" +
                  std::string(uri) + "\"");
    }
    finish(500);
    return;
  }
  x.next = direction::onward;
  x.uri = uri;
  x.args = args;
  x.valid_unparsed_uri = false;
  x.is_internal = true;
  x.captures.clear();
  x.access_code = 0;
  if (x.ctx_ref > 0) {
    box.release->machine().release_ctx(x.ctx_ref);
    x.ctx_ref = 0;
  }
  restart();
}

void exchange_actor::named_location(std::string_view name) {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  if (x.redirects_left-- <= 0) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error,
              "rewrite or internal redirection cycle while redirect to named location \"" +
                  std::string(name) + "\"");
    }
    finish(500);
    return;
  }
  const std::uint32_t found = box.server->locations->find_named(name);
  if (found == lua::location_match::none) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error, "could not find named location \"" + std::string(name) + "\"");
    }
    finish(500);
    return;
  }
  x.next = direction::onward;
  x.is_internal = true;
  x.access_code = 0;
  if (x.ctx_ref > 0) {
    box.release->machine().release_ctx(x.ctx_ref);
    x.ctx_ref = 0;
  }
  enter_place(*box.server->places[found]);
}

void exchange_actor::enter_again() {
  if (current_ && current_->stages != nullptr) current_->stages->enter_again(current_);
}

void exchange_actor::drop() {
  if (!current_) return;
  exchange_box& box = *current_;
  if (box.handler) box.handler->kill();
  if (box.filter) box.filter->kill();
  box.subrequest.reset();
  box.x.sockets.end();
  box.owner = nullptr;
  box.x.owner = nullptr;
  loop().timers().cancel(stage_timer_);
  current_ = {};
  step_ = step::idle;
  filtering_ = filtering::none;
  completing_ = false;
  held_.release();
  queue_.clear();
  std::string().swap(filter_input_);
}

// --- The end ---------------------------------------------------------------------------------------

void exchange_actor::finish(int status) {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  if (step_ >= step::finishing) return;
  ++box.entry;  // A stage that was sent it and has not begun must not.
  if (box.handler) box.handler->kill();
  box.subrequest.reset();
  if (status == 444 || status == 499 || status == -1 || status == 408) {
    // Nothing (more) is said to the client.
    abandon_filters();
    if (status > 0 && !x.header_sent) x.status = x.error_status = status;
    x.aborted = x.failed = true;
    step_ = step::draining;
    log();
    return;
  }
  if (status >= 300 || status == 201 || status == 204) {
    if (!x.header_sent) {
      if (x.buffering_http10 && x.status != 0 && !x.body_out.empty()) {
        complete();  // A page of its own was printed: ngx_lua sends that.
        return;
      }
      abandon_filters();
      x.body_out.clear();
      x.buffering_http10 = false;
      if (!wants_error_pages()) {
        bare_response(status);
        return;
      }
      if (status >= 300 && error_page(status)) return;
      special_response(status);
      return;
    }
    complete();
    return;
  }
  if (status > 0 && !x.header_sent && x.status == 0) x.status = status;
  complete();
}

bool exchange_actor::error_page(int status) {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  if (x.settings == nullptr || (x.error_status != 0 && !x.settings->recursive_error_pages)) {
    return false;
  }
  for (const net::error_page& page : x.settings->error_pages) {
    if (page.status != status) continue;
    const std::string_view target =
        page.target->evaluate(x, box.release->configuration().variables);
    if (target.empty()) return false;
    x.error_status = page.overwrite < 0 ? status : page.overwrite;
    if (page.overwrite == 0) x.error_status = 0;
    x.status = 0;
    x.status_line = {};
    if (target.front() == '@') {
      named_location(x.keep(target));
      return true;
    }
    if (target.front() == '/') {
      if (x.method != net::method_head) {
        x.method = net::method_get;
        x.method_name = "GET";
      }
      const auto question = target.find('?');
      const std::string_view path = x.keep(target.substr(0, question));
      const std::string_view args =
          question == std::string_view::npos ? std::string_view{} : x.keep(target.substr(question + 1));
      internal_redirect(path, args);
      return true;
    }
    int code = page.overwrite;
    if (code != 301 && code != 302 && code != 303 && code != 307 && code != 308) code = 302;
    x.response_headers.set("Location", x.keep(target));
    special_response(code);
    return true;
  }
  return false;
}

// The status and nothing else: whoever made the subrequest makes of it what they want.
void exchange_actor::bare_response(int status) {
  net::exchange& x = current_->x;
  x.error_status = status;
  x.content_type = {};
  x.default_type_wanted = false;
  x.response_length = -1;
  x.has_header_filter = x.has_body_filter = false;
  complete();
}

void exchange_actor::special_response(int status) {
  net::exchange& x = current_->x;
  x.error_status = status;
  if (status == 400 || status == 413 || status == 414 || status == 500 || status == 501) {
    x.close_after = true;
  }
  x.last_modified = -1;
  x.response_headers.remove("ETag");
  x.response_headers.remove("Accept-Ranges");
  x.response_length = -1;
  const std::string_view page =
      net::special_page(status, x.settings == nullptr || x.settings->server_tokens);
  if (!page.empty()) {
    x.content_type = "text/html";
    x.content_type_suppressed = false;
    x.response_length = static_cast<std::int64_t>(page.size());
    x.body_out.append(page);
  } else {
    x.content_type = {};
    x.default_type_wanted = false;
    if (status != 204 && status != 304) x.response_length = 0;
  }
  complete();
}

void exchange_actor::complete() {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  step_ = step::finishing;
  if (x.failed) {
    after_output();
    return;
  }
  if (x.buffering_http10 && !x.header_sent && x.response_length < 0) {
    x.response_length = static_cast<std::int64_t>(x.body_out.size());
  }
  x.buffering_http10 = false;
  if (x.eof_sent) {
    if (filtering_ != filtering::none) {
      completing_ = true;
    } else {
      after_output();
    }
    return;
  }
  x.eof_sent = true;
  completing_ = true;
  if (filter(x, true) == progress::waiting) return;
  completing_ = false;
  after_output();
}

void exchange_actor::after_output() {
  net::exchange& x = current_->x;
  step_ = step::draining;
  if (x.failed || is_drained(x)) log();
}

void exchange_actor::on_drained() {
  if (current_ && step_ == step::draining) log();
}

void exchange_actor::abort() {
  if (!current_) return;
  current_->x.failed = current_->x.aborted = true;
  if (step_ == step::draining) log();
}

void exchange_actor::log() {
  exchange_box& box = *current_;
  step_ = step::logging;
  if (box.server == nullptr) {
    ended();
    return;
  }
  const location& place = box.place != nullptr ? *box.place : box.server->defaults;
  const chain& stages = box.release->log_stages_of(place);
  if (stages.empty() || (box.x.is_subrequest && !place.settings.log_subrequest)) {
    ended();
  } else {
    stages.begin(current_);
  }
}

void exchange_actor::ended() {
  exchange_ref kept = current_;
  exchange_box& box = *kept;
  if (box.server != nullptr) {
    const location& place = box.place != nullptr ? *box.place : box.server->defaults;
    if (!box.x.is_subrequest || place.settings.log_subrequest) {
      for (const auto& log : place.access_logs) log->write(box.x);
    }
  }
  drop();
  on_ended(box);
}

}  // namespace troupe::actors
