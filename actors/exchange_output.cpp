// SPDX-License-Identifier: Apache-2.0
//
// The output side of an exchange_actor: the head, the filters and those who stand in line behind a
// filter that waits.
//
// Source   header_filter_by_lua and body_filter_by_lua of ngx_lua's README.
// Thread   shard.
#include "actors/exchange_actor.hpp"
#include "actors/shard_release.hpp"
#include "net/http_date.hpp"
#include "net/special_response.hpp"

namespace troupe::actors {

using net::log_level;

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
  const std::uint64_t run = ++x.filter_run;
  if (filtering_ != filtering::none) {
    queue_.push_back({run, last, std::move(x.body_out)});
    return progress::waiting;
  }
  const progress made = pass(x, last);
  if (made != progress::waiting) x.filter_done = run;
  return made;
}

net::exchange_owner::progress exchange_actor::pass(net::exchange& x, bool last) {
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
  const auto chunk = box.place->header_filter.find(box);
  if (!chunk) {
    x.failed = x.aborted = true;
    return progress::failed;
  }
  if (!box.filter) box.filter.emplace(box.release->machine(), *this);
  filtering_ = filtering::header;
  const auto state =
      box.filter->start(*chunk, lua::phase::header_filter, &x, x);
  if (state == lua::script::progress::waiting) {
    held_ = std::move(x.body_out);
    return progress::waiting;
  }
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
  const auto chunk = box.place->body_filter.find(box);
  if (!chunk) {
    x.failed = x.aborted = true;
    return progress::failed;
  }
  filter_input_.assign(x.body_out.flatten());
  x.body_out.clear();
  x.filter_chunk = filter_input_;
  x.filter_eof = last;
  if (!box.filter) box.filter.emplace(box.release->machine(), *this);
  filtering_ = filtering::body;
  const auto state =
      box.filter->start(*chunk, lua::phase::body_filter, &x, x);
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
  if (was == filtering::header) {
    x.body_out = std::move(held_);
    if (!failed) apply_filter_status(x);
  }
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
  } else if (pass(x, filter_last_) == progress::waiting) {
    return;
  }
  end_filter_runs(x);
}

// A run is over: those who waited for it go on, and what stands in line has its turn.
void exchange_actor::end_filter_runs(net::exchange& x) {
  ++x.filter_done;
  while (!queue_.empty()) {
    queued_output next = std::move(queue_.front());
    queue_.pop_front();
    x.body_out.take(next.bytes);  // Behind what waits there for more.
    if (!x.failed && pass(x, next.last) == progress::waiting) break;
    x.filter_done = next.run;
  }
  std::erase_if(x.filter_waiters, [&](const net::exchange::filter_waiter& waiter) {
    if (waiter.run > x.filter_done) return false;
    wake(static_cast<lua::wait_token>(waiter.token));
    return true;
  });
  if (filtering_ != filtering::none) return;
  if (std::exchange(x.stage_waits_filter, false)) enter_again();
  if (std::exchange(completing_, false)) after_output();
}

// Another response, or none, takes the place of what the filters have.
void exchange_actor::abandon_filters() noexcept {
  if (filtering_ == filtering::none) return;
  net::exchange& x = current_->x;
  current_->filter->kill();
  if (filtering_ == filtering::header) x.header_filter_done = false;
  filtering_ = filtering::none;
  held_.clear();
  queue_.clear();
  x.filter_done = x.filter_run;
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
