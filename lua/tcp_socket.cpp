// SPDX-License-Identifier: Apache-2.0
#include "lua/tcp_socket.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "lua/script.hpp"
#include "lua/socket_words.hpp"
#include "net/client_services.hpp"
#include "net/event_loop.hpp"
#include "net/exchange.hpp"

namespace troupe::lua {

using net::log_level;

namespace {
/// How much is read before others of the shard get their turn.
constexpr std::size_t most_at_once = 1 << 20;
}  // namespace

boundary::boundary(std::string text, bool keep) : pattern(std::move(text)), inclusive(keep) {
  borders.assign(pattern.size(), 0);
  for (std::size_t i = 1, length = 0; i < pattern.size(); ++i) {
    while (length > 0 && pattern[i] != pattern[length]) length = borders[length - 1];
    if (pattern[i] == pattern[length]) ++length;
    borders[i] = length;
  }
}

tcp_socket::tcp_socket(script& maker)
    : host_(maker.host()),
      x_(maker.exchange()),
      request_(key_of(maker.exchange())),
      log_(&maker.log()),
      settings_(&maker.settings()) {
  reader_.self = writer_.self = next_turn_.self = this;
  reader_.which = side::reader;
  writer_.which = side::writer;
  join(maker.belongings());
}

tcp_socket::~tcp_socket() { drop_stream(); }

tcp_socket::request_key tcp_socket::key_of(const net::exchange* x) noexcept {
  return x != nullptr ? request_key{x->client.number, x->client.requests} : request_key{};
}

void tcp_socket::on_owner_ended() noexcept {
  cancel(side::reader);
  cancel(side::writer);
  drop_stream();
  x_ = nullptr;
  log_ = nullptr;
}

void tcp_socket::drop_stream() noexcept {
  if (query::is_pending()) log_debug("resolve name done: -2");
  query::cancel();
  if (step_ == step::queued && pool_ != nullptr) {
    pool_->forget(*this);
    pool_ = nullptr;
  }
  if (stream_) stream_->watcher = nullptr;
  stream_.reset();
  // The host of one that a VM collects at its end has gone already.
  if (next_turn_.is_armed()) host_.loop().timers().cancel(next_turn_);
  if (net::stream_pool* pool = std::exchange(pool_, nullptr)) {
    const std::string key = logs_debug() ? pool->key() : std::string();
    pool->leave();
    if (logs_debug() && host_.services().pools.find(key) == nullptr) {
      log_debug("lua tcp socket keepalive: free connection pool for \"" + key + "\"");
    }
  }
  step_ = step::none;
  tls_.reset();
  others_.clear();
  std::string().swap(input_);
  std::string().swap(output_);
  input_at_ = output_at_ = 0;
}

net::client_stream* tcp_socket::client() noexcept {
  return is_request_ ? nullptr : static_cast<net::client_stream*>(stream_.get());
}

const net::location_settings& tcp_socket::settings() const noexcept {
  return x_ != nullptr && x_->settings != nullptr ? *x_->settings : *settings_;
}

std::int64_t tcp_socket::timeout_of(side which, bool connecting) const noexcept {
  const net::location_settings& s = settings();
  if (connecting) return connect_timeout > 0 ? connect_timeout : s.lua_socket_connect_timeout;
  if (which == side::writer) return send_timeout > 0 ? send_timeout : s.lua_socket_send_timeout;
  return read_timeout > 0 ? read_timeout : s.lua_socket_read_timeout;
}

// --- Log lines ------------------------------------------------------------------------------------

std::string tcp_socket::peer_text() const {
  std::string text = host_name_;
  if (port_ != 0) text += ":" + std::to_string(port_);
  if (address_.family() != AF_UNSPEC) text += "(" + address_.host() + ")";
  return text;
}

void tcp_socket::log_error(const std::string& text, log_level level) const {
  if (log_ == nullptr || !settings().lua_socket_log_errors || !log_->enabled(level)) return;
  log_->write(level, text);
}

bool tcp_socket::logs_debug() const noexcept {
  return log_ != nullptr && log_->enabled(log_level::debug);
}

void tcp_socket::log_debug(const std::string& text) const {
  if (logs_debug()) log_->write(log_level::debug, text);
}

void tcp_socket::log_closed(const char* doing) const {
  log_error(std::string("attempt to ") + doing + " data on a closed socket: u:" + hex(this) +
            ", c:" + hex(stream_.get()) + ", ft:0 eof:" + (at_end_ ? "1" : "0"));
}

// --- Who waits ------------------------------------------------------------------------------------

const char* tcp_socket::busy(side which) const noexcept {
  if (step_ == step::queued || step_ == step::resolving || step_ == step::connecting ||
      step_ == step::handshaking) {
    return "socket busy connecting";
  }
  const waiting& one = which == side::reader ? reader_ : writer_;
  if (one.token != wait_token::none || one.is_undelivered) {
    return which == side::reader ? "socket busy reading" : "socket busy writing";
  }
  return nullptr;
}

void tcp_socket::begin_wait(side which, wait_token token, std::int64_t timeout_ms) noexcept {
  waiting& one = which == side::reader ? reader_ : writer_;
  one.token = token;
  // The resolver has a time-out of its own.
  if (which == side::writer && step_ == step::resolving) return;
  if (timeout_ms > 0) host_.loop().timers().arm(one, timeout_ms);
}

// Each step of a connect has the whole time, as in ngx_lua.
void tcp_socket::arm_writer() noexcept {
  host_.loop().timers().cancel(writer_);
  if (writer_.token == wait_token::none || step_ == step::resolving) return;
  const std::int64_t ms = timeout_of(side::writer, step_ != step::sending);
  if (ms > 0) host_.loop().timers().arm(writer_, ms);
}

void tcp_socket::wake(side which) noexcept {
  waiting& one = which == side::reader ? reader_ : writer_;
  host_.loop().timers().cancel(one);
  if (which == side::writer) step_ = step::none;
  else host_.loop().timers().cancel(next_turn_);
  if (const wait_token token = std::exchange(one.token, wait_token::none); token != wait_token::none) {
    one.is_undelivered = true;
    host_.wake(token);
  }
}

void tcp_socket::cancel(side which) noexcept {
  waiting& one = which == side::reader ? reader_ : writer_;
  one.is_undelivered = false;
  if (one.token == wait_token::none) return;
  one.token = wait_token::none;
  host_.loop().timers().cancel(one);
  if (which == side::reader) host_.loop().timers().cancel(next_turn_);
  if (step_ == step::resolving) log_debug("lua tcp socket abort resolver");
  if (step_ == step::queued) log_debug("lua tcp socket abort queueing");
  // A connect or a write that nobody waits for leaves nothing that could be used.
  if (which == side::writer) drop_stream();
}

void tcp_socket::on_timeout(side which) noexcept {
  timed_out_ = true;
  if (which == side::reader) {
    log_error("lua tcp socket read timed out, upstream: " + peer_text());
    fail_read("timeout");
    wake(side::reader);
    return;
  }
  switch (step_) {
    case step::queued:
      log_error("lua tcp socket queued connect timed out, when trying to connect to " + host_name_ +
                ":" + std::to_string(port_));
      drop_stream();
      break;
    case step::handshaking:
      log_error("lua ssl handshake timed out, upstream: " + peer_text());
      drop_stream();
      break;
    case step::sending:
      log_error("lua tcp socket write timed out, upstream: " + peer_text());
      write_ended_ = true;
      break;
    default:
      log_error("lua tcp socket connect timed out, upstream: " + peer_text());
      drop_stream();
      break;
  }
  fail("timeout");
  wake(side::writer);
}

void tcp_socket::on_ready() noexcept {
  const std::size_t unsent = output_.size() - output_at_;
  const step before = step_;
  progress now = progress::waiting;
  switch (step_) {
    case step::connecting: now = go_on_connecting(); break;
    case step::handshaking: now = go_on_handshake(); break;
    case step::sending: now = go_on_sending(); break;
    default: break;
  }
  if (now == progress::done) {
    wake(side::writer);
  } else if (step_ != before || unsent != output_.size() - output_at_) {
    arm_writer();
  }
  read_on();
}

void tcp_socket::read_on() noexcept {
  if (reader_.token == wait_token::none || !stream_) return;
  const std::size_t unread = input().size();
  if (go_on_reading() == progress::done) {
    wake(side::reader);
  } else if (const std::int64_t ms = timeout_of(side::reader, false);
             ms > 0 && input().size() != unread) {
    host_.loop().timers().arm(reader_, ms);  // It counts from the last byte.
  }
}

// --- Writing --------------------------------------------------------------------------------------

tcp_socket::progress tcp_socket::send(std::string_view bytes) {
  written = {};
  written.sent = bytes.size();
  // What the kernel takes at once is not copied.
  const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  const net::io_result first = stream_->write({&piece, 1});
  if (first.error && !first.would_block()) return send_failed(first.error);
  if (first.bytes == bytes.size()) return progress::done;
  output_ = bytes.substr(first.bytes);
  output_at_ = 0;
  step_ = step::sending;
  const progress now = first.would_block() ? progress::waiting : go_on_sending();
  if (now == progress::done) step_ = step::none;
  return now;
}

tcp_socket::progress tcp_socket::send_failed(std::error_code error) {
  log_error(failed("send()", error) + ", upstream: " + peer_text());
  fail(words(error));
  write_ended_ = true;
  output_.clear();
  if (read_ended_) drop_stream();
  return progress::done;
}

tcp_socket::progress tcp_socket::go_on_sending() {
  while (output_at_ < output_.size()) {
    const iovec piece{output_.data() + output_at_, output_.size() - output_at_};
    const net::io_result result = stream_->write({&piece, 1});
    if (result.would_block()) return progress::waiting;
    if (result.error) return send_failed(result.error);
    output_at_ += result.bytes;
  }
  if (output_.capacity() > 65536) std::string().swap(output_);
  output_.clear();
  return progress::done;
}

// --- Reading --------------------------------------------------------------------------------------

void tcp_socket::take_input(std::size_t size, std::string& into) {
  if (input_at_ == 0 && size == input_.size()) {  // The usual answer: all that is there.
    into.swap(input_);
    input_.clear();
    return;
  }
  into.assign(input_, input_at_, size);
  input_at_ += size;
  if (input_at_ == input_.size()) {
    if (input_.capacity() > 65536) std::string().swap(input_);
    input_.clear();
    input_at_ = 0;
  }
}

tcp_socket::progress tcp_socket::receive(const read_goal& goal) {
  goal_ = goal;
  read = {};
  return go_on_reading();
}

tcp_socket::progress tcp_socket::go_on_reading() {
  std::size_t total = 0;
  for (;;) {
    if (satisfy(at_end_)) return progress::done;
    if (total >= most_at_once) {
      host_.loop().timers().arm(next_turn_, 0);
      return progress::waiting;
    }
    const auto room = host_.loop().scratch();
    std::size_t most = std::max<std::size_t>(settings().lua_socket_buffer_size, 1);
    if (goal_.what == read_goal::kind::size && goal_.size > input().size()) {
      most = std::max(most, goal_.size - input().size());
    }
    if (goal_.what == read_goal::kind::all) most = room.size();
    const net::io_result result = stream_->read(room.first(std::min(most, room.size())));
    if (result.would_block()) return progress::waiting;
    if (result.error) {
      if (is_request_) {
        fail_read("client aborted");
      } else {
        log_error(failed("recv()", result.error) + ", upstream: " + peer_text());
        const std::string text = words(result.error);
        fail_read("");
        read.text = text;
        read.error = read.text.c_str();
      }
      read_ended_ = true;
      if (write_ended_) drop_stream();
      return progress::done;
    }
    if (result.bytes == 0) {
      at_end_ = true;
      continue;
    }
    if (input_at_ > 0 && input_at_ >= input_.size() / 2) {
      input_.erase(0, input_at_);
      input_at_ = 0;
    }
    input_.append(room.data(), result.bytes);
    total += result.bytes;
  }
}

// All that is there becomes the partial result.
void tcp_socket::fail_read(const char* error) {
  std::size_t size = input().size();
  if (goal_.what == read_goal::kind::until && std::strcmp(error, "timeout") == 0) {
    // What may be the beginning of the pattern stays, for the next call.
    const boundary& b = *goal_.until;
    std::size_t matched = 0;
    for (const char c : input()) {
      while (matched > 0 && (matched == b.pattern.size() || c != b.pattern[matched])) {
        matched = b.borders[matched - 1];
      }
      if (c == b.pattern[matched]) ++matched;
    }
    size -= matched;
  }
  take_input(size, read.data);
  if (goal_.what == read_goal::kind::line) std::erase(read.data, '\r');
  read.error = error;
}

// Whether the goal is reached, or will never be.
bool tcp_socket::satisfy(bool at_end) {
  const std::string_view there = input();
  switch (goal_.what) {
    case read_goal::kind::line:
      if (const auto end = there.find('\n', goal_.searched); end != std::string_view::npos) {
        take_input(end + 1, read.data);
        read.data.pop_back();
        std::erase(read.data, '\r');
        return true;
      }
      goal_.searched = there.size();
      break;
    case read_goal::kind::size:
      if (there.size() >= goal_.size) {
        take_input(goal_.size, read.data);
        return true;
      }
      break;
    case read_goal::kind::any:
      if (!there.empty()) {
        take_input(std::min(goal_.size, there.size()), read.data);
        return true;
      }
      break;
    case read_goal::kind::all:
      if (at_end) {
        take_input(there.size(), read.data);
        read_ended_ = true;
        return true;
      }
      break;
    case read_goal::kind::until:
      if (satisfy_until(at_end)) return true;
      break;
  }
  if (!at_end) return false;
  fail_read("closed");
  read_ended_ = true;
  if (write_ended_) drop_stream();
  return true;
}

bool tcp_socket::satisfy_until(bool) {
  boundary& b = *goal_.until;
  const std::string_view there = input();
  const std::size_t found = there.find(b.pattern, goal_.searched);
  if (found == std::string_view::npos && there.size() >= b.pattern.size()) {
    goal_.searched = there.size() - b.pattern.size() + 1;  // The pattern may begin in the rest.
  }
  if (found != std::string_view::npos && (goal_.size == 0 || found <= goal_.size)) {
    take_input(found + b.pattern.size(), read.data);
    if (!b.inclusive) read.data.resize(found);
    b.at_end = goal_.size > 0;
    return true;
  }
  if (goal_.size == 0) return false;
  std::size_t certain = there.size();
  if (found == std::string_view::npos) {
    // The longest end of it that may be a beginning of the pattern.
    std::size_t possible = std::min(there.size(), b.pattern.size() - 1);
    while (possible > 0 && there.substr(there.size() - possible) !=
                               std::string_view(b.pattern).substr(0, possible)) {
      --possible;
    }
    certain -= possible;
  }
  if (certain < goal_.size) return false;
  take_input(goal_.size, read.data);
  return true;
}

// --- Ends -----------------------------------------------------------------------------------------

bool tcp_socket::close() noexcept {
  if (!stream_ || (read_ended_ && write_ended_)) {
    drop_stream();
    return false;
  }
  if (logs_debug()) log_debug("lua finalize socket");
  drop_stream();
  return true;
}

const char* tcp_socket::set_keepalive(std::int64_t timeout_ms, std::size_t size, bool closes) {
  if (!stream_ || at_end_ || read_ended_ || write_ended_) return "closed";
  if (timed_out_) return "invalid connection";
  if (!input().empty()) return "unread data in buffer";
  switch (client()->look()) {
    case net::client_stream::rest::ended:
      log_debug("lua tcp socket keepalive: peer has closed");
      drop_stream();
      return "closed";
    case net::client_stream::rest::unread: return "connection in dubious state";
    case net::client_stream::rest::quiet: break;
  }
  if (closes) {
    log_debug("lua tcp socket set keepalive while process exiting, closing connection");
    drop_stream();
    return nullptr;
  }
  net::stream_pool* pool = pool_;
  if (pool == nullptr || pool->key() != options_.pool_key) {
    if (pool == nullptr && host_.services().pools.find(options_.pool_key) == nullptr) {
      log_debug("lua tcp socket keepalive create connection pool for key \"" + options_.pool_key + "\"");
      log_debug("lua tcp socket connection pool size: " +
                std::to_string(size > 0 ? size : settings().lua_socket_pool_size));
    }
    pool = &host_.services().pools.get(options_.pool_key, size > 0 ? size : settings().lua_socket_pool_size, -1);
    pool->adopt();
  }
  const std::int64_t idle = timeout_ms >= 0 ? timeout_ms : settings().lua_socket_keepalive_timeout;
  if (logs_debug()) {
    log_debug(idle > 0 ? "lua tcp socket keepalive timeout: " + std::to_string(idle) + " ms"
                       : std::string("lua tcp socket keepalive timeout: unlimited"));
  }
  std::unique_ptr<net::client_stream> kept(static_cast<net::client_stream*>(stream_.release()));
  pool_ = nullptr;
  pool->give(std::move(kept), reused_, idle);
  drop_stream();
  return nullptr;
}

void tcp_socket::take_request(std::unique_ptr<net::stream> request, bool raw) {
  stream_ = std::move(request);
  stream_->watcher = this;
  is_request_ = true;
  is_raw_ = raw;
  was_used_ = true;
  host_name_ = "the client";
}

}  // namespace troupe::lua
