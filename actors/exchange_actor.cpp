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
  self->tell(stage_due{self->current_, self->current_->entry});
}

void exchange_actor::stage_is_due(const stage_due& message) {
  // It may come too late: for a stage that was left, or for an exchange that has ended.
  if (!current_ || &*message.exchange != &*current_ || message.entry != current_->entry) return;
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

void exchange_actor::enter_place(const location& place) {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  step_ = step::place;
  box.use(place);
  if (!place.settings.lua_code_cache && !x.is_subrequest && !x.is_internal) {
    box.release->machine().forget_modules();
  }
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
  filtered_.release();
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
  if (box.filter && filtering_ != filtering::none) {
    box.filter->kill();
    filtering_ = filtering::none;
    }
  if (status == 444 || status == 499 || status == -1 || (status == 408 && x.header_sent)) {
    // Nothing (more) is said to the client.
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
    after_output();
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

// --- Output ----------------------------------------------------------------------------------------

void exchange_actor::on_progress(lua::script& resumed) {
  if (!current_) return;
  exchange_box& box = *current_;
  if (box.filter && &resumed == &*box.filter) {
    if (resumed.state() != lua::script::progress::waiting) filter_progress(resumed);
    return;
  }
  if (!box.handler || &resumed != &*box.handler) return;
  if (resumed.state() == lua::script::progress::waiting) {
    net::exchange& x = box.x;
    // What nginx would have sent by now goes out before the handler's next wait.
    if (x.header_sent && !x.has_body_filter && x.body_out.size() >= x.settings->postpone_output) {
      send_body(x, false);
    }
    return;
  }
  enter_again();
}

namespace {
void give_default_type(net::exchange& x) {
  if (x.content_type.empty() && !x.content_type_suppressed && x.default_type_wanted &&
      x.settings != nullptr && x.settings->lua_use_default_type) {
    x.content_type = x.settings->default_type;
  }
}

// The lines by which ngx_lua's users follow a request through its phases.
void trace(const net::exchange& x, std::string_view what) {
  if (!x.enabled(log_level::debug)) return;
  x.write(log_level::debug, "lua " + std::string(what) + " filter for user lua code, uri \"" +
                                std::string(x.uri) + "\"");
}
}  // namespace

net::exchange_owner::progress exchange_actor::filter(net::exchange& x, bool last) {
  exchange_box& box = *current_;
  filter_last_ = last;
  if (!x.header_sent) {
    if (box.place != nullptr && !x.headers_edited) {
      x.headers_edited = true;
      for (const auto& edit : box.place->header_edits) edit(box);
    }
    if (x.has_header_filter && !x.header_filter_done) {
      give_default_type(x);
      if (run_header_filter(box) == progress::waiting) return progress::waiting;
    }
    if (x.failed) return progress::failed;
    if (!commit_head(x)) return progress::failed;
  }
  if (x.has_body_filter) {
    if (run_body_filter(box, last) == progress::waiting) return progress::waiting;
  } else if (last || x.body_out.size() >= x.settings->postpone_output) {
    send_body(x, last);
  }
  return x.failed ? progress::failed : progress::done;
}

net::exchange_owner::progress exchange_actor::run_header_filter(exchange_box& box) {
  net::exchange& x = box.x;
  x.header_filter_done = true;
  trace(x, "header");
  if (!box.filter) box.filter.emplace(box.release->machine(), *this);
  filtering_ = filtering::header;
  const auto state =
      box.filter->start(box.place->header_filter.chunk, lua::phase::header_filter, &x, x);
  if (state == lua::script::progress::waiting) return progress::waiting;
  filtering_ = filtering::none;
  if (state == lua::script::progress::failed) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error,
              "failed to run header_filter_by_lua*: " + box.filter->error());
    }
    x.failed = x.aborted = true;
    return progress::failed;
  }
  apply_filter_status(x);
  return progress::done;
}

// ngx.exit in a header filter: another response takes the place of this one.
void exchange_actor::apply_filter_status(net::exchange& x) {
  if (const int status = std::exchange(x.filter_status, 0); status != 0 && status != x.error_status) {
    // The response so far is replaced: by an error page, or by nothing.
    x.body_out.clear();
    x.response_length = -1;
    x.content_type = {};
    x.status = 0;
    x.status_line = {};
    if (status == 444 || status < 0) {
      x.failed = x.aborted = true;
    } else if (status >= 300) {
      x.error_status = status;
      const std::string_view page = net::special_page(status, x.settings->server_tokens);
      x.content_type = "text/html";
      x.response_length = static_cast<std::int64_t>(page.size());
      x.body_out.append(page);
    } else {
      x.status = status;
      x.error_status = 0;
      x.response_length = 0;
    }
  }
}

net::exchange_owner::progress exchange_actor::run_body_filter(exchange_box& box, bool last) {
  net::exchange& x = box.x;
  if (x.filter_ended) {
    x.body_out.clear();
    return progress::done;
  }
  if (x.body_out.empty() && !last) {
    send_body(x, false);
    return progress::done;
  }
  trace(x, "body");
  filter_input_.assign(x.body_out.flatten());
  x.body_out.clear();
  x.filter_chunk = filter_input_;
  x.filter_eof = last;
  if (!box.filter) box.filter.emplace(box.release->machine(), *this);
  filtering_ = filtering::body;
  const auto state =
      box.filter->start(box.place->body_filter.chunk, lua::phase::body_filter, &x, x);
  if (state == lua::script::progress::waiting) return progress::waiting;
  filtering_ = filtering::none;
  if (state == lua::script::progress::failed) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error, "failed to run body_filter_by_lua*: " + box.filter->error());
    }
    x.failed = x.aborted = true;
    return progress::failed;
  }
  if (box.filter->result_count() > 0 && lua_isnumber(box.filter->results(), 1) &&
      lua_tointeger(box.filter->results(), 1) == -1) {
    x.failed = x.aborted = true;
    return progress::failed;
  }
  x.body_out.append(x.filter_chunk);
  if (x.filter_eof) x.filter_ended = x.eof_sent = true;
  send_body(x, x.filter_eof);
  return progress::done;
}

void exchange_actor::filter_progress(lua::script& resumed) {
  exchange_box& box = *current_;
  net::exchange& x = box.x;
  const filtering was = std::exchange(filtering_, filtering::none);
  // Take up filter() or run_body_filter() where the filter's wait cut them off.
  const bool failed = resumed.state() == lua::script::progress::failed;
  if (!failed && was == filtering::header) apply_filter_status(x);
  if (failed) {
    if (x.enabled(log_level::error)) {
      x.write(log_level::error,
              std::string("failed to run ") +
                  (was == filtering::header ? "header" : "body") +
                  "_filter_by_lua*: " + resumed.error());
    }
    x.failed = x.aborted = true;
  } else if (was == filtering::body && resumed.result_count() > 0 &&
             lua_isnumber(resumed.results(), 1) && lua_tointeger(resumed.results(), 1) == -1) {
    x.failed = x.aborted = true;
  } else if (was == filtering::body) {
    x.body_out.append(x.filter_chunk);
    if (x.filter_eof) x.filter_ended = x.eof_sent = true;
    send_body(x, x.filter_eof);
  } else if (filter(x, filter_last_) == progress::waiting) {
    return;
  }
  if (const auto waiter = std::exchange(x.filter_waiter, 0); waiter != 0) {
    wake(static_cast<lua::wait_token>(waiter));
  }
  if (completing_) {
    completing_ = false;
    after_output();
  }
}

bool exchange_actor::not_modified(net::exchange& x) const {
  if (x.last_modified < 0 || x.disable_not_modified || x.settings->if_modified_since == 0) return false;
  const net::header_field* since = x.headers.find("If-Modified-Since");
  if (since == nullptr || x.headers.find("If-None-Match") != nullptr) return false;
  const auto time = net::parse_http_date(since->value);
  if (!time) return false;
  return x.settings->if_modified_since == 1 ? *time == x.last_modified : *time >= x.last_modified;
}

bool exchange_actor::commit_head(net::exchange& x) {
  if (x.header_sent) return true;
  x.header_sent = true;
  if (x.error_status != 0) {
    x.status = x.error_status;
  } else if (x.status == 0) {
    x.status = 200;
  }
  if (x.status == 200 && x.error_status == 0 && !x.is_subrequest && not_modified(x)) {
    x.status = 304;
    x.status_line = {};
    x.content_type = {};
    x.content_type_suppressed = true;
    x.response_length = -1;
  }
  give_default_type(x);
  if (x.method == net::method_head || x.status == 204 || x.status == 304 || x.status < 200) {
    x.header_only = true;
  }
  send_head(x);
  return !x.failed;
}

}  // namespace troupe::actors
