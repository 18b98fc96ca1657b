// SPDX-License-Identifier: Apache-2.0
#include "actors/connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "actors/match_pattern.hpp"
#include "actors/shard_release.hpp"
#include "net/http1_writer.hpp"
#include "net/uri.hpp"

namespace troupe::actors {

using net::body_state;
using net::log_level;

namespace {
// Written pieces a call; more wait for the next.
constexpr std::size_t most_pieces = 16;
// What may be received ahead of its use (pipelined requests) before reading pauses.
constexpr std::size_t most_input = 65536;
}  // namespace

connection::connection(caf::actor_config& config, shard& home, net::unique_fd socket,
                       const net::address& peer, std::shared_ptr<const connection_origin> origin)
    : exchange_actor(config, home),
      socket_(std::move(socket)),
      origin_(std::move(origin)),
      number_(home.next_connection_number()),
      started_ms_(home.loop().clock().monotonic_ms()),
      peer_host_(peer.host()),
      peer_port_(peer.port()) {
  const std::string_view binary = peer.binary();
  peer_binary_size_ = static_cast<std::uint8_t>(binary.size());
  std::copy(binary.begin(), binary.end(), peer_binary_);
  deadline_.self = this;
}

connection::~connection() = default;

caf::strong_actor_ptr connection::accept(shard& home, net::unique_fd socket, const net::address& peer,
                        std::shared_ptr<const connection_origin> origin) {
  const bool is_tcp = !peer.is_unix();
  auto made = spawn_on<connection>(home, std::move(socket), peer, std::move(origin));
  connection& self = *made.self;
  self.self_ = made.handle;
  home.add(self);
  shard::add(home.connections, 1);
  const net::location_settings& settings = self.settings();
  if (is_tcp && settings.tcp_nodelay) net::set_nodelay(self.socket_.get());
  if (const auto error = home.loop().watch(self.socket_.get(), self); error) {
    self.log(log_level::crit, "epoll_ctl() failed: " + error.message());
    self.close();
    return made.handle;
  }
  self.wait_for(settings.client_header_timeout);
  // A client that connects usually has sent its request by the time it is accepted; if not, the
  // edge will tell.
  return made.handle;
}

caf::behavior connection::make_behavior() {
  return {
      [this](close_gracefully) {
        draining_ = true;
        if (state_ != state::idle) return;
        if (home().idle_grace() == 0) close();
        else wait_for(home().idle_grace());
      },
      [this](client_ended) {
        if (state_ == state::serving) on_readable();
      },
      [this](closed) { quit(); },
  };
}

void connection::on_exit() {
  // Also the way out when somebody killed this actor: its exchange ends here and nothing else does.
  if (state_ != state::closed) close();
}

const net::location_settings& connection::settings() const noexcept {
  const exchange_box* box = current();
  if (box != nullptr && box->x.settings != nullptr) return *box->x.settings;
  const site& conf = home().current()->configuration();
  if (origin_->is_closed || origin_->group >= conf.listens.size()) return conf.http;
  const auto group = origin_->group;
  return conf.servers[conf.listens[group].names.default_server()]->defaults.settings;
}

void connection::log(net::log_level level, std::string_view text) const {
  const site& conf = home().current()->configuration();
  if (!conf.error_log || !conf.error_log->enabled(level)) return;
  conf.error_log->write(level, "*" + std::to_string(number_) + " " + std::string(text) +
                                   ", client: " + peer_host_ + ", server: " + origin_->where.text());
}

// --- Readiness and time ---------------------------------------------------------------------------

void connection::on_io(std::uint32_t events) noexcept {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    readable_ = true;
    // The end of the peer's bytes gives no edge of its own once it was told with the last of them.
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end_seen_ = true;
    on_readable();
  }
  if ((events & EPOLLOUT) != 0 && state_ != state::closed && current() != nullptr) {
    if (stream_ == nullptr || !current()->x.wire.empty()) write_out(current()->x);
    if (stream_ != nullptr) stream_->notify();
  }
}

void connection::on_readable() {
  switch (state_) {
    case state::idle:
    case state::head:
      // Its servers have gone with the address; those of another one are not for its clients.
      if (origin_->is_closed) close();
      else read_head();
      return;
    case state::serving:
      // Who still reads a body sees its end by reading.
      if (stream_ != nullptr && (body_mode_ != body_mode::none || !sees_client_gone())) {
        stream_->notify();
      } else if (reading_body_) {
        read_some_body();
      } else if (sees_client_gone()) {
        peer_closed();
      }
      return;
    case state::discarding: read_some_body(); return;
    case state::lingering:
      while (readable_) {
        const auto got = net::receive(socket_.get(), loop().scratch());
        if (got.bytes == 0) {
          if (got.would_block()) break;
          close();
          return;
        }
      }
      return;
    case state::closed: return;
  }
}

// Whether the client has ended its side and somebody wants to know at once.
bool connection::sees_client_gone() const noexcept {
  if (current() == nullptr || current()->x.settings == nullptr ||
      !current()->x.settings->lua_check_client_abort) {
    return false;
  }
  // Its end may stand behind bytes that nobody will read now.
  if (end_seen_ && body_mode_ == body_mode::none) return true;
  char byte = 0;
  const ssize_t n = ::recv(socket_.get(), &byte, 1, MSG_PEEK);
  return n == 0 || (n < 0 && errno != EAGAIN);
}

void connection::wait_for(std::int64_t ms) {
  // Moving the deadline away is a store; the timer looks again when it fires.
  timer_at_ = loop().clock().monotonic_ms() + ms;
  if (!deadline_.is_armed() || deadline_.expiry() > timer_at_) {
    loop().timers().arm_at(deadline_, timer_at_);
  }
}

void connection::on_deadline() noexcept {
  const std::int64_t now = loop().clock().monotonic_ms();
  if (timer_at_ == 0) return;
  if (now < timer_at_) {
    loop().timers().arm_at(deadline_, timer_at_);
    return;
  }
  switch (state_) {
    case state::idle:
    case state::lingering: close(); return;
    case state::head: refuse(408, "client timed out (110: Connection timed out) while reading client request headers"); return;
    case state::discarding: close(); return;
    case state::serving:
      if (reading_body_) {
        body_failed(408);
      } else if (current() != nullptr && !current()->x.wire.empty()) {
        net::exchange& x = current()->x;
        if (x.enabled(log_level::info)) {
          x.action = "sending to client";
          x.write(log_level::info, "client timed out (110: Connection timed out)");
          x.action = {};
        }
        broken_ = true;
        flush_ended(x, "timeout");
        abort();
      }
      return;
    case state::closed: return;
  }
}

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

// --- Output ----------------------------------------------------------------------------------------

void connection::send_head(net::exchange& x) {
  // A body that nobody read is either dropped after the response or ends the connection.
  if (!is_idle() && body_mode_ != body_mode::none && x.expects_continue && !sent_continue_) {
    x.close_after = true;  // The client may or may not send it: nobody can tell.
  }
  if (peer_ended_) x.close_after = true;
  if (settings().keepalive_time > 0 &&
      loop().clock().monotonic_ms() - started_ms_ > settings().keepalive_time) {
    x.close_after = true;
  }
  net::write_response_head(x);
  if (x.wire.size() >= x.settings->postpone_output) write_out(x);
}

void connection::send_body(net::exchange& x, bool last) {
  net::write_response_body(x, last);
  // A little output waits for more, or for a flush.
  if (last || x.wire.size() >= x.settings->postpone_output) write_out(x);
}

void connection::write_out(net::exchange& x) {
  if (state_ == state::closed || broken_) {
    x.wire.clear();
    x.failed = true;
    return;
  }
  const bool had = !x.wire.empty();
  while (!x.wire.empty()) {
    std::array<iovec, most_pieces> pieces;
    const std::size_t count = x.wire.gather(pieces);
    const auto sent = net::send(socket_.get(), {pieces.data(), count});
    if (sent.bytes > 0) {
      x.bytes_sent += sent.bytes;
      x.wire.consume(sent.bytes);
      continue;
    }
    if (sent.would_block()) {
      watch_writable();
      wait_for(settings().send_timeout);
      return;
    }
    broken_ = true;
    x.wire.clear();
    x.failed = true;
    if (x.enabled(log_level::info)) {
      x.action = "sending to client";
      x.write(log_level::info, "send() failed (" + std::to_string(sent.error.value()) + ": " +
                                   sent.error.message() + ")");
      x.action = {};
    }
    flush_ended(x, "client aborted");
    abort();
    return;
  }
  if (had && !reading_body_) timer_at_ = 0;
  flush_ended(x, nullptr);
  on_drained();
}

void connection::watch_writable() noexcept {
  if (std::exchange(writable_watched_, true)) return;
  loop().modify(socket_.get(), *this, net::event_loop::readable | net::event_loop::writable);
}

net::exchange_owner::progress connection::flush(net::exchange& x) {
  if (broken_) return progress::failed;
  net::write_response_body(x, false);
  write_out(x);
  if (broken_) return progress::failed;
  return x.wire.empty() ? progress::done : progress::waiting;
}

bool connection::is_broken(const net::exchange&) const noexcept { return broken_; }

bool connection::is_drained(const net::exchange& x) const noexcept { return x.wire.empty(); }

// --- The client's side in Lua's hands --------------------------------------------------------------

std::unique_ptr<net::stream> connection::take_stream(net::exchange& x, bool raw, const char*& error) {
  if (broken_ || state_ != state::serving) {
    error = "client aborted";
  } else if (x.body.state == body_state::reading) {
    error = "pending request body reading in some other thread";
  } else if (raw && x.buffering_http10) {
    error = "http 1.0 buffering";
  } else if (raw && !x.wire.empty()) {
    error = "pending data to write";
  } else if (!raw && x.body.state == body_state::discarded) {
    error = "request body discarded";
  } else if (!raw && x.body.state == body_state::read && x.body.size() > 0) {
    error = "request body already exists";
  } else if (!raw && body_mode_ == body_mode::chunked) {
    error = "chunked request bodies not supported yet";
  } else if (!raw && body_mode_ == body_mode::none) {
    error = "no body";
  }
  if (error != nullptr) return nullptr;
  if (raw) {
    x.raw_socket_taken = x.header_sent = x.eof_sent = x.close_after = true;
    x.body_out.clear();
    x.keep_alive = false;
    body_mode_ = body_mode::none;
  } else if (x.expects_continue && !std::exchange(sent_continue_, true) && !x.header_sent) {
    static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    net::send(socket_.get(), {&piece, 1});
  }
  auto made = std::make_unique<request_stream>(*this, raw);
  stream_ = made.get();
  timer_at_ = 0;
  return made;
}

net::io_result connection::read_stream(std::span<char> into, bool raw) noexcept {
  if (broken_) return {0, std::make_error_code(std::errc::connection_aborted)};
  if (!raw) {
    if (body_left_ == 0) return {};
    into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), body_left_)));
  }
  net::io_result got;
  if (!input_.empty()) {
    got.bytes = input_.copy(into.data(), into.size());
    input_.erase(0, got.bytes);
  } else {
    got = net::receive(socket_.get(), into);
    if (got.bytes == 0 && !got.error) {
      peer_ended_ = true;
      // A body that stops short is an error; of the whole connection it is the end.
      if (!raw) got.error = std::make_error_code(std::errc::connection_reset);
    }
  }
  if (!raw && got.bytes > 0) {
    body_seen_ += got.bytes;
    body_left_ -= got.bytes;
    if (body_left_ == 0) {
      body_mode_ = body_mode::none;
      if (end_seen_) tell(client_ended{});
    }
  }
  return got;
}

net::io_result connection::write_stream(std::span<const iovec> pieces) noexcept {
  const net::io_result sent = net::send(socket_.get(), pieces);
  if (sent.would_block()) watch_writable();
  std::size_t wanted = 0;
  for (const iovec& piece : pieces) wanted += piece.iov_len;
  taken_blocked_ = sent.bytes < wanted;
  if (current() != nullptr) current()->x.bytes_sent += sent.bytes;
  return sent;
}

// --- Ends ------------------------------------------------------------------------------------------

void connection::on_ended(exchange_box& box) {
  net::exchange& x = box.x;
  if ((x.error_status != 0 ? x.error_status : x.status) >= 500) shard::add(home().errors, 1);
  if (stream_ != nullptr) stream_->detach();
  stream_ = nullptr;
  timer_at_ = 0;
  reading_body_ = waiting_body_ = false;
  if (ends_gently_ && !broken_ && state_ != state::closed && !peer_ended_) {
    linger();
    return;
  }
  if (x.aborted || broken_ || state_ == state::closed) {
    close();
    return;
  }
  if (!x.keep_alive || (draining_ && home().idle_grace() == 0)) {
    const bool unread = body_mode_ != body_mode::none || x.close_after;
    if (unread && !peer_ended_) {
      linger();
    } else {
      close();
    }
    return;
  }
  if (body_mode_ != body_mode::none) {
    // Nobody read the body: drop it, then the next request may come.
    state_ = state::discarding;
    wait_for(settings().client_body_timeout);
    if (!input_.empty()) {
      std::string bytes = std::move(input_);
      input_.clear();
      take_body(bytes);
      if (state_ != state::discarding) return;
    }
    read_some_body();
    return;
  }
  next_request();
}

void connection::next_request() {
  state_ = state::idle;
  sent_continue_ = false;
  wait_for(draining_ ? home().idle_grace() : settings().keepalive_timeout);
  if ((draining_ && input_.empty() && home().idle_grace() == 0) || origin_->is_closed) {
    close();
    return;
  }
  if (!input_.empty() || readable_) {
    read_head();
  } else if (input_.capacity() > 15) {
    std::string().swap(input_);
  }
}

// The release of the exchange under way ends.
void connection::end_with(const shard_release& release, std::int64_t drain_ms) noexcept {
  exchange_box* box = current();
  if (box == nullptr || box->release.get() != &release || state_ != state::serving) return;
  net::exchange& x = box->x;
  const net::location_settings& says = *x.settings;
  const bool drains = says.on_release == net::release_policy::drain;
  if (drain_ms < 0 ? says.on_release == net::release_policy::keep
                   : !drains || says.drain_time != drain_ms) {
    return;
  }
  draining_ = true;
  if (is_finishing()) return;  // Its last bytes are on their way.
  if (x.enabled(log_level::info)) {
    x.write(log_level::info, "the release of this request ends, closing connection");
  }
  if (!x.header_sent) {
    x.close_after = true;
    finish(503);
    return;
  }
  if (x.raw_socket_taken && x.status == 101 && !taken_blocked_) {
    static constexpr std::string_view going_away = "\x88\x02\x03\xe9";  // A close frame, 1001.
    const iovec piece{const_cast<char*>(going_away.data()), going_away.size()};
    net::send(socket_.get(), {&piece, 1});
  }
  ends_gently_ = true;
  x.wire.clear();
  finish(-1);
}

void connection::linger() {
  state_ = state::lingering;
  ::shutdown(socket_.get(), SHUT_WR);
  wait_for(settings().lingering_timeout);
  readable_ = true;
  on_readable();
}

void connection::close() {
  if (state_ == state::closed) return;
  state_ = state::closed;
  loop().timers().cancel(deadline_);
  loop().forget(socket_.get(), *this);
  socket_.reset();
  home().remove(*this);
  shard::add(home().connections, -1);
  if (stream_ != nullptr) stream_->detach();
  stream_ = nullptr;
  drop();
  pending_ = {};
  std::string().swap(input_);
  tell(closed{});
  // The mailbox keeps this alive until it has handled that.
  self_ = nullptr;
}

}  // namespace troupe::actors
