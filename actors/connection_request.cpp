// SPDX-License-Identifier: Apache-2.0
//
// What a connection reads: heads of requests and their bodies.
//
// Source   RFC 9112 sections 2 to 7; ngx_http_request.c and ngx_http_request_body.c for what is refused.
// Thread   shard.
#include <sys/socket.h>

#include <algorithm>

#include "actors/connection.hpp"
#include "actors/match_pattern.hpp"
#include "actors/shard_release.hpp"
#include "net/uri.hpp"

namespace troupe::actors {

using net::body_state;
using net::log_level;

namespace {
// What may be received ahead of its use (pipelined requests) before reading pauses.
constexpr std::size_t most_input = 65536;
}  // namespace

// --- The head --------------------------------------------------------------------------------------

// Takes the waiting bytes of the socket into the head that is being read. False: there is nothing, or
// the peer has ended.
bool connection::fill() {
  const auto room = loop().scratch();
  const auto got = net::receive(socket_.get(), room);
  if (got.bytes == 0) {
    readable_ = false;
    if (!got.would_block()) peer_ended_ = true;
    if (got.error && !got.would_block()) broken_ = true;
    return false;
  }
  // A short read has emptied the socket; the next edge tells of more.
  if (got.bytes < room.size()) readable_ = end_seen_;
  if (!pending_) begin_head();
  pending_->x.head_bytes.append(room.data(), got.bytes);
  return true;
}

void connection::begin_head() {
  pending_ = home().exchanges().make();
  net::exchange& x = pending_->x;
  x.client.number = number_;
  x.start_ms = x.now_ms();
  parser_.reset();
}

// A request that ends at once brings the next one of a pipeline here again: a loop, no recursion.
void connection::read_head() {
  if (std::exchange(in_read_head_, true)) {
    read_again_ = true;
    return;
  }
  do {
    read_again_ = false;
    read_one_head();
  } while (read_again_ && state_ == state::idle);
  in_read_head_ = false;
}

void connection::read_one_head() {
  if (!input_.empty()) {
    begin_head();
    pending_->x.head_bytes.append(input_);
    std::string().swap(input_);
    if (parse_head()) return;
  }
  while (readable_ && fill()) {
    if (parse_head()) return;
  }
  if (peer_ended_ && state_ != state::closed) {
    if (state_ == state::head) {
      log(log_level::info, "client prematurely closed connection while reading client request");
    }
    close();
  }
}

// Parses what has arrived of a head. True: the connection is busy with something else now.
bool connection::parse_head() {
  net::exchange& x = pending_->x;
  net::request_head head;
  const net::location_settings& limits = settings();
  if (state_ == state::idle) {
    state_ = state::head;
    wait_for(limits.client_header_timeout);
  }
  const auto status = parser_.parse(x.head_bytes, head, x.headers,
                                    {limits.ignore_invalid_headers, limits.underscores_in_headers});
  x.request_line = head.request_line;
  x.method_name = head.method_name;  // Also a refused request is logged.
  x.unparsed_uri = head.target;
  switch (status) {
    case net::parse_status::need_more: {
      const std::size_t line = x.head_bytes.size() - parser_.line_start;
      const std::size_t longest =
          std::max(limits.large_client_header_size, limits.client_header_buffer_size);
      if (line >= longest) {
        if (!parser_.request_line_seen) {
          refuse(414, "client sent too long URI");
        } else {
          refuse(400, "client sent too long header line");
        }
        return true;
      }
      if (x.head_bytes.size() > longest * limits.large_client_header_count +
                                    limits.client_header_buffer_size) {
        refuse(400, "client sent too large request");
        return true;
      }
      return false;
    }
    case net::parse_status::failed: {
      const auto error = parser_.error;
      x.version = head.version != 0 ? head.version : 1001;
      refuse(net::http_status(error), net::message(error));
      return true;
    }
    case net::parse_status::done: break;
  }
  const std::size_t longest =
      std::max(limits.large_client_header_size, limits.client_header_buffer_size);
  if (head.request_line.size() + 2 > longest) {
    refuse(414, "client sent too long URI");
    return true;
  }
  if (head.size > longest * limits.large_client_header_count + limits.client_header_buffer_size) {
    refuse(400, "client sent too large request");
    return true;
  }
  for (const net::header_field& field : x.headers) {
    if (field.name.size() + field.value.size() + 4 > longest) {
      refuse(400, "client sent too long header line");
      return true;
    }
  }
  start_exchange(head);
  return true;
}

void connection::start_exchange(const net::request_head& head) {
  exchange_box& box = *pending_;
  net::exchange& x = box.x;
  if (head.size < x.head_bytes.size()) {
    input_.assign(x.head_bytes, head.size, std::string::npos);
    // The views stay: shrinking does not move the bytes.
    x.head_bytes.resize(head.size);
  }
  if (head.start > 0) {
    // raw_header begins with the request line.
    x.head_start = head.start;
  }
  x.method = head.method;
  x.method_name = head.method_name;
  x.version = head.version;
  x.request_line = head.request_line;
  x.unparsed_uri = head.target;
  x.content_length = head.content_length;
  x.is_chunked = head.is_chunked;
  x.keep_alive_wanted = head.keep_alive && !draining_;
  x.expects_continue = head.expects_continue && head.version >= 1001;
  x.request_bytes = head.size;
  x.client.requests = ++requests_;
  x.client.remote_addr = peer_host_;
  x.client.remote_port = peer_port_;
  x.client.binary_remote_addr = {peer_binary_, peer_binary_size_};
  x.client.server_addr = origin_->server_addr;
  x.client.listener = origin_->listener;
  x.client.server_port = origin_->server_port;
  shard::add(home().requests, 1);

  box.belong(home().current());
  const site& conf = box.release->configuration();
  const listen_group& group = conf.listens[origin_->group < conf.listens.size() ? origin_->group : 0];
  const virtual_server* server = conf.servers[group.names.default_server()].get();

  net::target target;
  const bool good = net::parse_target(head.target, server->defaults.settings.merge_slashes, x.memory,
                                      target, head.method == net::method_options);
  if (good) {
    x.uri = target.path;
    x.args = target.args;
    x.valid_unparsed_uri = true;
    const std::string_view named = target.host.empty() ? head.host : target.host;
    x.host = net::host_without_port(named, x.memory);
    const auto found = group.names.find(x.host, [&](std::uint32_t number) {
      return match_pattern(group.patterns[number], x.host, x, conf.variables);
    });
    server = conf.servers[found.server].get();
  }
  box.server = server;
  x.server_name = server->names.empty() ? std::string_view{} : std::string_view(server->names[0]);
  x.settings = &server->defaults.settings;
  x.log_target = server->defaults.error_log.get();

  state_ = state::serving;
  broken_ = false;
  reading_body_ = waiting_body_ = sent_continue_ = false;
  body_left_ = head.content_length.value_or(0);
  body_seen_ = 0;
  body_mode_ = head.is_chunked ? body_mode::chunked
               : body_left_ > 0 ? body_mode::length
                                : body_mode::none;
  chunked_.reset();
  timer_at_ = 0;  // No deadline while the stages work.
  if (body_mode_ == body_mode::length) x.content_length = body_left_;

  exchange_ref exchange = std::move(pending_);
  pending_ = {};
  if (!good) {
    adopt(std::move(exchange));
    if (x.enabled(log_level::info)) x.write(log_level::info, "client sent invalid request");
    x.close_after = true;
    finish(400);
    return;
  }
  if (head.method == net::method_trace || head.method_name == "CONNECT") {
    adopt(std::move(exchange));
    finish(405);
    return;
  }
  begin(std::move(exchange));
}

// A head that cannot become a request: answered, logged and the connection closed.
void connection::refuse(int status, std::string_view why) {
  if (!pending_) pending_ = home().exchanges().make();
  exchange_box& box = *pending_;
  net::exchange& x = box.x;
  box.belong(home().current());
  const site& conf = box.release->configuration();
  const listen_group& group = conf.listens[origin_->group < conf.listens.size() ? origin_->group : 0];
  box.server = conf.servers[group.names.default_server()].get();
  x.settings = &box.server->defaults.settings;
  x.log_target = box.server->defaults.error_log.get();
  x.server_name = box.server->names.empty() ? std::string_view{} : box.server->names[0];
  x.client.number = number_;
  x.client.requests = ++requests_;
  x.client.remote_addr = peer_host_;
  x.client.remote_port = peer_port_;
  x.client.server_addr = origin_->server_addr;
  x.client.listener = origin_->listener;
  x.client.server_port = origin_->server_port;
  x.keep_alive_wanted = false;
  x.close_after = true;
  if (x.version == 0) x.version = 1000;
  x.headers.clear();
  x.body.state = body_state::discarded;
  body_mode_ = body_mode::none;
  input_.clear();
  state_ = state::serving;
  timer_at_ = 0;
  if (x.enabled(log_level::info)) x.write(log_level::info, why);
  exchange_ref exchange = std::move(pending_);
  pending_ = {};
  adopt(std::move(exchange));
  finish(status);
}

// --- The body --------------------------------------------------------------------------------------

net::exchange_owner::progress connection::read_body(net::exchange& x) {
  if (x.body.state == body_state::read || x.body.state == body_state::discarded) {
    return progress::done;
  }
  if (body_mode_ == body_mode::none) {
    x.body.state = body_state::read;
    return progress::done;
  }
  if (x.body.state == body_state::reading) return progress::waiting;  // For another thread too.
  const net::location_settings& limits = *x.settings;
  x.body.start(limits.client_body_buffer_size, limits.client_body_temp_path,
               limits.client_body_in_file_only != net::body_in_file::off);
  if (limits.client_body_in_file_only == net::body_in_file::on) x.body.keep_file();
  reading_body_ = true;
  if (!input_.empty()) {
    std::string bytes = std::move(input_);
    input_.clear();
    take_body(bytes);
  }
  if (!reading_body_) return x.body.state == body_state::read ? progress::done : progress::failed;
  if (x.expects_continue && body_seen_ == 0 && !sent_continue_ && !x.header_sent) {
    sent_continue_ = true;
    static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    net::send(socket_.get(), {&piece, 1});
  }
  if (readable_) read_some_body();
  if (!reading_body_) return x.body.state == body_state::read ? progress::done : progress::failed;
  waiting_body_ = true;
  wait_for(limits.client_body_timeout);
  return progress::waiting;
}

void connection::read_some_body() {
  while (readable_ && (reading_body_ || state_ == state::discarding)) {
    const auto room = loop().scratch();
    const auto got = net::receive(socket_.get(), room);
    if (got.bytes == 0) {
      readable_ = false;
      if (got.would_block()) break;
      peer_ended_ = true;
      if (state_ == state::discarding) {
        close();
      } else {
        peer_closed();
      }
      return;
    }
    if (got.bytes < room.size()) readable_ = end_seen_;
    wait_for(settings().client_body_timeout);
    take_body({room.data(), got.bytes});
  }
}

void connection::take_body(std::string_view bytes) {
  const bool keep = reading_body_;
  net::exchange* x = current() != nullptr ? &current()->x : nullptr;
  bool complete = false;
  if (body_mode_ == body_mode::length) {
    const auto part =
        bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size())));
    if (keep) x->body.append(part);
    body_seen_ += part.size();
    body_left_ -= part.size();
    bytes.remove_prefix(part.size());
    complete = body_left_ == 0;
  } else if (body_mode_ == body_mode::chunked) {
    const std::int64_t limit =
        x != nullptr && x->settings != nullptr ? x->settings->client_max_body_size : 0;
    while (!bytes.empty() && !complete) {
      std::string_view piece;
      const auto status = chunked_.decode(bytes, piece);
      body_seen_ += piece.size();
      if (keep) x->body.append(piece);
      if (status == net::chunked_decoder::status::failed) {
        if (x != nullptr && x->enabled(log_level::error)) {
          x->write(log_level::error, "client sent invalid chunked body");
        }
        body_mode_ = body_mode::none;
        if (state_ == state::discarding) {
          close();
        } else {
          body_failed(400);
        }
        return;
      }
      complete = status == net::chunked_decoder::status::done;
      if (keep && limit > 0 && body_seen_ > static_cast<std::uint64_t>(limit)) {
        if (x->enabled(log_level::error)) {
          x->write(log_level::error, "client intended to send too large chunked body: " +
                                         std::to_string(body_seen_) + " bytes");
        }
        body_failed(413);
        return;
      }
    }
  }
  if (keep && x->body.failure()) {
    if (x->enabled(log_level::crit)) {
      x->write(log_level::crit, "cannot write the request body to a temporary file in \"" +
                                    x->settings->client_body_temp_path +
                                    "\": " + x->body.failure().message());
    }
    body_failed(500);
    return;
  }
  if (!complete) return;
  input_.assign(bytes);
  body_complete();
}

void connection::body_complete() {
  body_mode_ = body_mode::none;
  timer_at_ = 0;
  if (state_ == state::discarding) {
    next_request();
    return;
  }
  reading_body_ = false;
  net::exchange& x = current()->x;
  x.request_bytes += body_seen_;
  if (x.body.was_spilled() && x.enabled(log_level::warn)) {
    x.write(log_level::warn,
            "a client request body is buffered to a temporary file " + x.body.file_path());
  }
  if (x.is_chunked) x.content_length = body_seen_;
  x.body.finish();
  if (std::exchange(waiting_body_, false)) body_arrived(x);
}

void connection::body_failed(int status) {
  reading_body_ = false;
  const bool was_waiting = std::exchange(waiting_body_, false);
  if (current() == nullptr) return;
  net::exchange& x = current()->x;
  x.close_after = true;
  x.keep_alive = false;  // What follows on the wire is no request, also if the head is out.
  x.body.state = body_state::discarded;
  if (status == 408) {
    if (x.enabled(log_level::info)) {
      x.write(log_level::info, "client timed out (110: Connection timed out) while reading client request body");
    }
  }
  body_mode_ = body_mode::none;
  if (was_waiting) {
    finish(status);
  } else {  // read_body() reports it to its caller, who lets go of the exchange.
    x.next = net::direction::finish;
    x.final_status = status;
  }
}

void connection::discard_body(net::exchange& x) {
  if (x.body.state != body_state::unread) return;
  x.body.state = body_state::discarded;
}

void connection::peer_closed() {
  peer_ended_ = true;
  if (current() == nullptr) {
    close();
    return;
  }
  net::exchange& x = current()->x;
  broken_ = true;
  if (x.enabled(log_level::info)) {
    x.write(log_level::info, "client prematurely closed connection");
  }
  if (reading_body_) {
    body_failed(499);
    return;
  }
  if (is_finishing()) {
    x.wire.clear();
    abort();
    return;
  }
  if (x.settings->lua_check_client_abort) client_gone();
  if (stream_ != nullptr) stream_->notify();
}

}  // namespace troupe::actors
