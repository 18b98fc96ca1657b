// SPDX-License-Identifier: Apache-2.0
#include "actors/subrequest_actor.hpp"

#include "actors/shard_release.hpp"
#include "net/decimal.hpp"
#include "net/http_date.hpp"

namespace troupe::actors {

using net::body_state;
using net::log_level;

bool exchange_actor::start_subrequest(net::exchange& parent, net::subrequest& asked) {
  if (!current_ || &parent != &current_->x) return false;
  if (parent.nesting >= subrequest_actor::most_nested) {
    if (parent.enabled(log_level::error)) {
      parent.write(log_level::error, "lua subrequests cycle while processing \"" + asked.uri + "\"");
    }
    return false;
  }
  subrequest_actor::start(home(), current_, asked);
  return true;
}

subrequest_actor::subrequest_actor(caf::actor_config& config, shard& home)
    : exchange_actor(config, home) {}

void subrequest_actor::start(shard& home, exchange_ref parent, net::subrequest& asked) {
  auto made = spawn_or_wake<subrequest_actor>(home, home.idle_subrequests());
  subrequest_actor& self = *made.self;
  self.self_ = std::move(made.handle);
  self.parent_ = std::move(parent);
  self.asked_ = &asked;
  self.has_begun_ = false;
  asked.runner = &self;
  home.letters().begin(self);
}

caf::behavior subrequest_actor::make_behavior() {
  return {[this](closed) { quit(); }};
}

// Also the way out when somebody killed this actor: its parent must not wait for ever.
void subrequest_actor::on_exit() {
  drop();
  if (net::subrequest* asked = std::exchange(asked_, nullptr)) {
    asked->runner = nullptr;
    asked->status = 500;
    asked->truncated = true;
    asked->on_answered();
  }
  parent_ = {};
}

void subrequest_actor::abandon() noexcept {
  asked_ = nullptr;
  drop();
  end();
}

void subrequest_actor::end() noexcept {
  parent_ = {};
  if (!has_begun_) return;  // Its first letter is still to come.
  if (!home().idle_subrequests().give(self_)) tell(closed{});
  self_ = nullptr;
}

void subrequest_actor::on_begin() {
  has_begun_ = true;
  if (asked_ == nullptr) {
    end();
    return;
  }
  if (parent_->owner == nullptr) return;
  exchange_ref exchange = home().exchanges().make();
  exchange_box& box = *exchange;
  const exchange_box& above = *parent_;
  net::exchange& x = box.x;
  const net::exchange& parent = above.x;

  x.parent = &parent_->x;
  x.nesting = parent.nesting + 1;
  x.is_subrequest = x.is_internal = true;
  x.client = parent.client;
  x.start_ms = x.now_ms();
  x.method = asked_->method;
  x.method_name = x.keep(asked_->method_name);
  x.version = parent.version;
  x.request_line = parent.request_line;
  x.unparsed_uri = parent.unparsed_uri;
  x.valid_unparsed_uri = false;
  x.uri = x.keep(asked_->uri);
  if (!asked_->args.empty()) x.args = x.keep(asked_->args);
  x.host = parent.host;
  x.server_name = parent.server_name;
  x.ctx_ref = std::exchange(asked_->ctx_slot, 0);
  for (const net::header_field& field : parent.headers) x.headers.add(field.name, field.value);
  for (const auto& [name, value] : asked_->headers) x.headers.set(x.keep(name), x.keep(value));
  take_over_body(x);

  net::exchange& holder = parent.variable_holder != nullptr ? *parent.variable_holder : parent_->x;
  if (asked_->sees == net::subrequest::variables::shared) x.variable_holder = &holder;
  if (asked_->sees == net::subrequest::variables::copied) x.variables = holder.variables;
  const net::variable_table& variables = above.release->configuration().variables;
  for (const auto& [index, value] : asked_->assigned) variables.set(x, index, value);

  box.release = above.release;
  box.server = above.server;
  begin(std::move(exchange));
}

// What the child has of a body, and the Content-Length that says so.
void subrequest_actor::take_over_body(net::exchange& x) {
  const net::request_body& above = parent_->x.body;
  const bool forwards =
      asked_->always_forward_body || x.method == net::method_post || x.method == net::method_put;
  x.body.assign(asked_->body);
  bool has_body = asked_->has_body;
  if (!has_body && forwards && above.state == body_state::read && above.size() > 0) {
    has_body = true;
    if (!above.in_file()) {
      x.body.assign(above.memory());
    } else if (const auto error = x.body.assign_file(above.file_path(), false); error) {
      x.write(log_level::crit, "open() \"" + above.file_path() + "\" failed: " + error.message());
    }
  }
  // One framing, whatever the client used: the length.
  x.headers.remove("Transfer-Encoding");
  const bool had_length = x.headers.remove("Content-Length") > 0;
  if (has_body || had_length || asked_->has_body) {
    x.content_length = x.body.size();
    x.headers.add("Content-Length", x.keep(net::decimal(x.body.size())));
  }
}

net::exchange_owner::progress subrequest_actor::read_body(net::exchange& x) {
  x.body.state = body_state::read;
  return progress::done;
}

net::exchange_owner::progress subrequest_actor::flush(net::exchange& x) {
  send_body(x, false);
  return progress::done;
}

void subrequest_actor::send_head(net::exchange& x) {
  if (asked_ == nullptr) return;
  auto add = [this](std::string_view name, std::string_view value) {
    asked_->answer_headers.emplace_back(name, value);
  };
  asked_->status = x.status;
  asked_->answer_length = x.response_length;
  if (!x.content_type.empty()) add("Content-Type", x.content_type);
  if (x.last_modified >= 0 && x.response_headers.find("Last-Modified") == nullptr) {
    add("Last-Modified", net::format_http_date(x.last_modified));
  }
  for (const net::header_field& field : x.response_headers) add(field.name, field.value);
}

void subrequest_actor::send_body(net::exchange& x, bool) {
  x.body_bytes_sent += x.body_out.size();
  if (asked_ != nullptr && !x.header_only) asked_->answer.append(x.body_out.flatten());
  x.body_out.clear();
}

void subrequest_actor::on_ended(exchange_box& box) {
  if (net::subrequest* asked = std::exchange(asked_, nullptr)) {
    const net::exchange& x = box.x;
    asked->runner = nullptr;
    if (x.failed || x.aborted) {
      asked->truncated = x.header_sent;
      if (!x.header_sent) {
        asked->status = x.error_status >= 100 ? x.error_status : 500;
        asked->answer.clear();
      }
    }
    asked->on_answered();
  }
  end();
}

}  // namespace troupe::actors
