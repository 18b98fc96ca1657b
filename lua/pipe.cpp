// SPDX-License-Identifier: Apache-2.0
#include "lua/pipe.hpp"

#include <algorithm>
#include <cinttypes>
#include <csignal>
#include <cstring>
#include <utility>

#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/socket_words.hpp"
#include "net/client_services.hpp"
#include "net/event_loop.hpp"
#include "net/exchange.hpp"
#include "net/log.hpp"

namespace troupe::lua {

using net::log_level;

namespace {

/// How much is read before others of the shard get their turn.
constexpr std::size_t most_at_once = 1 << 20;

// As nginx prints it with %p: "7F5E3C0021A0".
std::string upper_hex(const void* pointer) {
  char text[20];
  std::snprintf(text, sizeof text, "%" PRIXPTR, reinterpret_cast<std::uintptr_t>(pointer));
  return text;
}

std::string system_text(const std::error_code& error) {
  const char* text = strerrordesc_np(error.value());
  return text != nullptr ? text : "Unknown error";
}

constexpr const char* doing[] = {"writing", "reading", "reading", "waiting"};
constexpr const char* yielding[] = {"write", "read", "read", "wait"};
constexpr const char* cleaned_up[] = {"write", "read stdout", "read stderr", "wait"};

// What a request's code makes belongs to all of it: nginx has one pool for it and its subrequests.
net::exchange* whole_request(net::exchange* x) noexcept {
  while (x != nullptr && x->parent != nullptr) x = x->parent;
  return x;
}

int push_failure(lua_State* state, std::string_view error) {
  lua_pushnil(state);
  lua_pushlstring(state, error.data(), error.size());
  return 2;
}

}  // namespace

// --- Its life -------------------------------------------------------------------------------------

pipe_process::pipe_process(script& maker, const options& how)
    : loop_(maker.host().loop()),
      log_(&maker.log()),
      merges_stderr_(how.command.merges_stderr),
      buffer_size_(how.buffer_size) {
  for (std::size_t i = 0; i < waits_.size(); ++i) {
    waits_[i].self = this;
    waits_[i].which = static_cast<part>(i);
    waits_[i].timeout_ms = how.timeouts[i];
  }
  for (std::size_t i = 0; i < next_turns_.size(); ++i) {
    next_turns_[i].self = this;
    next_turns_[i].which = static_cast<part>(i + 1);
  }
  if (net::exchange* x = whole_request(maker.exchange())) {
    log_ = x;
    join(x->sockets);
  } else {
    join(maker.belongings());
  }
}

tl::expected<std::unique_ptr<pipe_process>, std::string> pipe_process::spawn(script& maker,
                                                                             const options& how) {
  std::unique_ptr<pipe_process> made(new pipe_process(maker, how));
  auto child = net::child_process::spawn(made->loop_, maker.host().services().children, how.command,
                                         *made);
  if (!child) {
    return tl::unexpected(std::string(child.error().call) + " failed: " +
                          system_text(child.error().error));
  }
  made->child_ = std::move(*child);
  made->pid_ = made->child_->pid();
  if (made->logs_debug()) {
    made->log_debug("lua pipe spawn " + made->name() +
                    " merge_stderr:" + (how.command.merges_stderr ? "1" : "0") +
                    " buffer_size:" + std::to_string(how.buffer_size));
  }
  if (const auto& error = made->child_->exec_error(); error && made->log_->enabled(log_level::error)) {
    const char* call =
        how.command.environment.empty() ? "lua pipe child execvp()" : "lua pipe child execvpe()";
    made->log_->write(log_level::error,
                      std::string(call) + " failed while executing " + how.command.words.front() +
                          " (" + std::to_string(error.value()) + ": " + system_text(error) + ")");
  }
  return made;
}

pipe_process::~pipe_process() { end("exited"); }

void pipe_process::on_owner_ended() noexcept {
  end("exited");
  log_ = nullptr;
}

void pipe_process::on_child_ended() noexcept {
  how_it_ended_ = child_->end();
  if (log_ != nullptr && log_->enabled(log_level::notice)) {
    log_->write(log_level::notice, "signal " + std::to_string(SIGCHLD) + " (SIGCHLD) received from " +
                                       std::to_string(pid_));
  }
  wake(at(part::end));
}

// Kills it if it still runs, and closes all; who waits learns why.
void pipe_process::end(const char* why_of_wait) noexcept {
  if (is_over()) return;
  if (logs_debug()) {
    log_debug("lua pipe destroy " + name());
    if (!how_it_ended_) log_debug("lua pipe kill " + name());
  }
  for (next_turn& one : next_turns_) loop_.timers().cancel(one);
  child_.reset();
  for (const part one : {part::in, part::out, part::err}) fail(one, "closed");
  fail(part::end, why_of_wait);
}

bool pipe_process::logs_debug() const noexcept {
  return log_ != nullptr && log_->enabled(log_level::debug);
}

void pipe_process::log_debug(const std::string& text) const {
  if (logs_debug()) log_->write(log_level::debug, text);
}

std::string pipe_process::name() const {
  return "process:" + upper_hex(this) + " pid:" + std::to_string(pid_);
}

// --- Who waits ------------------------------------------------------------------------------------

int pipe_process::begin_wait(lua_State* state, part which, int (*finish)(lua_State*, void*)) {
  waiting& one = at(which);
  const wait_token token = script::begin_wait(state, &one, finish, cancel);
  one.token = token;
  one.host = &script::of(state)->owner->host();
  if (one.timeout_ms > 0) {
    loop_.timers().arm(one, one.timeout_ms);
    if (logs_debug()) {
      log_debug(std::string("lua pipe add timer for ") + doing[static_cast<std::size_t>(which)] +
                ": " + std::to_string(one.timeout_ms) + "(ms) " + name());
    }
  }
  if (logs_debug()) {
    log_debug(std::string("lua pipe ") + yielding[static_cast<std::size_t>(which)] + " yielding " +
              name());
  }
  return lua_yield(state, 0);
}

void pipe_process::wake(waiting& one) noexcept {
  loop_.timers().cancel(one);
  if (const wait_token token = std::exchange(one.token, wait_token::none); token != wait_token::none) {
    one.is_undelivered = true;
    one.host->wake(token);
  }
}

void pipe_process::fail(part which, const char* error) noexcept {
  waiting& one = at(which);
  if (one.token == wait_token::none) return;
  one.error = error;
  wake(one);
}

// The light thread was killed. What was read stays for the next reader.
void pipe_process::cancel(void* operation) noexcept {
  auto& one = *static_cast<waiting*>(operation);
  pipe_process& self = *one.self;
  one.is_undelivered = false;
  one.error.clear();
  if (one.which != part::in && one.which != part::end) {
    self.loop_.timers().cancel(self.next_turns_[static_cast<std::size_t>(one.which) - 1]);
  }
  if (one.token == wait_token::none) return;
  one.token = wait_token::none;
  self.loop_.timers().cancel(one);
  if (self.logs_debug()) {
    self.log_debug(std::string("lua pipe proc ") + cleaned_up[static_cast<std::size_t>(one.which)] +
                   " cleanup");
  }
}

void pipe_process::on_timeout(waiting& one) noexcept { fail(one.which, "timeout"); }

void pipe_process::on_stream_ready(net::child_stream which) noexcept {
  waiting& one = waits_[static_cast<std::size_t>(which)];
  if (one.token == wait_token::none) return;
  if (which == net::child_stream::in ? go_on_writing() : go_on_reading(one.which)) {
    wake(one);
  } else if (one.timeout_ms > 0) {
    loop_.timers().arm(one, one.timeout_ms);  // From each progress on.
  }
}

// --- Reading --------------------------------------------------------------------------------------

bool pipe_process::is_satisfied(reader& it) noexcept {
  switch (it.what) {
    case goal::all: return it.at_end;
    case goal::bytes: return it.input.size() >= it.size;
    case goal::any: return !it.input.empty();
    case goal::line: break;
  }
  const std::size_t end = it.input.find('\n', it.searched);
  it.searched = end != std::string::npos ? end : it.input.size();
  return end != std::string::npos;
}

std::string pipe_process::take(reader& it) {
  if (it.what == goal::all) return take_rest(it);
  const std::size_t size =
      it.what == goal::line ? it.searched + 1 : std::min(it.size, it.input.size());
  std::string taken = it.input.substr(0, size);
  it.input.erase(0, size);
  it.searched = 0;
  if (it.what == goal::line) {
    taken.pop_back();
    std::erase(taken, '\r');
  }
  return taken;
}

std::string pipe_process::take_rest(reader& it) {
  std::string taken = std::exchange(it.input, {});
  it.searched = 0;
  if (it.what == goal::line) std::erase(taken, '\r');
  return taken;
}

bool pipe_process::go_on_reading(part which) {
  reader& it = input_of(which);
  waiting& one = at(which);
  const auto room = loop_.scratch();
  const std::size_t step =
      it.what == goal::all ? room.size() : std::min(std::max(buffer_size_, std::size_t{1}), room.size());
  std::size_t total = 0;
  for (;;) {
    if (is_satisfied(it)) return true;
    if (it.at_end) {
      one.error = "closed";
      return true;
    }
    if (total >= most_at_once) {
      loop_.timers().arm(next_turns_[static_cast<std::size_t>(which) - 1], 0);
      return false;
    }
    const net::io_result got =
        child_->read(static_cast<net::child_stream>(which), room.first(step));
    if (got.would_block()) return false;
    if (got.error) {
      one.error = system_text(got.error);
      return true;
    }
    if (got.bytes == 0) it.at_end = true;
    it.input.append(room.data(), got.bytes);
    total += got.bytes;
  }
}

int pipe_process::read(lua_State* state, part which, goal what, std::size_t size) {
  if (logs_debug()) log_debug("lua pipe read " + name());
  if (is_over()) return push_failure(state, "closed");
  if (which == part::err && merges_stderr_) return push_failure(state, "merged to stdout");
  waiting& one = at(which);
  if (one.is_busy()) return push_failure(state, "pipe busy reading");
  if (!child_->is_open(static_cast<net::child_stream>(which))) return push_failure(state, "closed");
  reader& it = input_of(which);
  it.what = what;
  it.size = size;
  it.searched = 0;
  one.error.clear();
  if (go_on_reading(which)) return finish_read(state, &one);
  return begin_wait(state, which, finish_read);
}

int pipe_process::finish_read(lua_State* state, void* operation) {
  auto& one = *static_cast<waiting*>(operation);
  reader& it = one.self->input_of(one.which);
  one.is_undelivered = false;
  if (one.error.empty()) {
    const std::string data = take(it);
    lua_pushlstring(state, data.data(), data.size());
    return 1;
  }
  const std::string partial = take_rest(it);
  push_failure(state, std::exchange(one.error, {}));
  lua_pushlstring(state, partial.data(), partial.size());
  return 3;
}

// --- Writing --------------------------------------------------------------------------------------

bool pipe_process::go_on_writing() {
  waiting& one = at(part::in);
  while (output_at_ < output_.size()) {
    const net::io_result sent = child_->write(std::string_view(output_).substr(output_at_));
    if (sent.would_block()) return false;
    if (sent.error) {
      if (logs_debug()) {
        log_debug("lua pipe write data error pipe:" + upper_hex(this) + " (" +
                  std::to_string(sent.error.value()) + ": " + system_text(sent.error) + ")");
      }
      one.error = sent.error == std::errc::broken_pipe ? "closed" : system_text(sent.error);
      return true;
    }
    output_at_ += sent.bytes;
  }
  return true;
}

int pipe_process::write(lua_State* state, std::string bytes) {
  if (logs_debug()) log_debug("lua pipe write " + name());
  if (is_over()) return push_failure(state, "closed");
  waiting& one = at(part::in);
  if (one.is_busy()) return push_failure(state, "pipe busy writing");
  if (!child_->is_open(net::child_stream::in)) return push_failure(state, "closed");
  one.error.clear();
  output_ = std::move(bytes);
  output_at_ = 0;
  if (go_on_writing()) return finish_write(state, &one);
  return begin_wait(state, part::in, finish_write);
}

int pipe_process::finish_write(lua_State* state, void* operation) {
  auto& one = *static_cast<waiting*>(operation);
  one.is_undelivered = false;
  const std::size_t written = std::exchange(one.self->output_, {}).size();
  if (!one.error.empty()) return push_failure(state, std::exchange(one.error, {}));
  lua_pushnumber(state, static_cast<lua_Number>(written));
  return 1;
}

// --- Its end --------------------------------------------------------------------------------------

int pipe_process::wait(lua_State* state) {
  if (logs_debug()) log_debug("lua pipe wait " + name());
  if (is_over()) return push_failure(state, "exited");
  waiting& one = at(part::end);
  if (one.is_busy()) return push_failure(state, "pipe busy waiting");
  one.error.clear();
  if (how_it_ended_) return finish_wait(state, &one);
  return begin_wait(state, part::end, finish_wait);
}

// Whoever has waited for a process has done with it: what it wrote and nobody read is gone.
int pipe_process::finish_wait(lua_State* state, void* operation) {
  auto& one = *static_cast<waiting*>(operation);
  pipe_process& self = *one.self;
  one.is_undelivered = false;
  if (!one.error.empty()) return push_failure(state, std::exchange(one.error, {}));
  const net::child_end how = *self.how_it_ended_;
  if (!self.is_over()) {
    // Who reads at this moment gets what there is.
    for (const part other : {part::out, part::err}) {
      if (self.at(other).token != wait_token::none) self.go_on_reading(other);
    }
    self.end("exited");
  }
  lua_pushboolean(state, how.what == net::child_end::how::exited && how.code == 0);
  switch (how.what) {
    case net::child_end::how::exited: lua_pushliteral(state, "exit"); break;
    case net::child_end::how::signalled: lua_pushliteral(state, "signal"); break;
    case net::child_end::how::unknown: lua_pushliteral(state, "unknown"); break;
  }
  lua_pushinteger(state, how.code);
  return 3;
}

const char* pipe_process::shutdown(part which) noexcept {
  if (is_over()) return "closed";
  if (which == part::err && merges_stderr_) return "merged to stdout";
  child_->close(static_cast<net::child_stream>(which));
  if (which != part::in) {
    loop_.timers().cancel(next_turns_[static_cast<std::size_t>(which) - 1]);
    if (!at(which).is_busy()) input_of(which) = {};
  }
  fail(which, how_it_ended_ ? "closed" : "aborted");
  return nullptr;
}

std::string pipe_process::kill(int number) noexcept {
  if (is_over() || how_it_ended_) return "exited";
  const std::error_code error = child_->send_signal(number);
  if (!error) return {};
  if (error == std::errc::invalid_argument) return "invalid signal";
  if (error == std::errc::no_such_process) return "exited";
  return system_text(error);
}

}  // namespace troupe::lua
