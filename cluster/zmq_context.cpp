// SPDX-License-Identifier: Apache-2.0
#include "cluster/zmq_context.hpp"

#include <zmq.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include <sys/resource.h>

namespace troupe::cluster {

namespace {

tl::unexpected<refusal> failed(std::string_view call, std::string_view what) {
  const int number = zmq_errno();
  return tl::unexpected(refusal{refusal_errc::io,
                                std::string(call) + " \"" + std::string(what) + "\" failed (" +
                                    std::to_string(number) + ": " + zmq_strerror(number) + ")",
                                {}});
}

zmq_socket::outcome outcome_of_errno() {
  switch (zmq_errno()) {
    case EAGAIN:
      return zmq_socket::outcome::full;
    case EHOSTUNREACH:
      return zmq_socket::outcome::unreachable;
    default:
      return zmq_socket::outcome::failed;
  }
}

}  // namespace

tl::expected<std::unique_ptr<zmq_context>, refusal> zmq_context::make() {
  return make(options());
}

tl::expected<std::unique_ptr<zmq_context>, refusal> zmq_context::make(options how) {
  void* handle = zmq_ctx_new();
  if (handle == nullptr) return failed("zmq_ctx_new", "");
  if (how.io_threads == 0) how.io_threads = std::thread::hardware_concurrency() >= 4 ? 2 : 1;
  std::unique_ptr<zmq_context> made(new zmq_context(handle));
  if (zmq_ctx_set(handle, ZMQ_MAX_SOCKETS, how.max_sockets) != 0 ||
      zmq_ctx_set(handle, ZMQ_IO_THREADS, how.io_threads) != 0) {
    return failed("zmq_ctx_set", "");
  }
  return made;
}

zmq_context::~zmq_context() {
  while (zmq_ctx_term(handle_) != 0 && zmq_errno() == EINTR) {
  }
}

std::size_t raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1'024;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = raised.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

tl::expected<zmq_socket, refusal> zmq_socket::open(const zmq_context& context, int type) {
  void* handle = ::zmq_socket(context.handle(), type);
  if (handle == nullptr) return failed("zmq_socket", std::to_string(type));
  zmq_socket made(handle);
  if (auto done = made.set(ZMQ_LINGER, 0); !done) return tl::unexpected(done.error());
  return made;
}

zmq_socket::zmq_socket(zmq_socket&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)) {}

zmq_socket& zmq_socket::operator=(zmq_socket&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

zmq_socket::~zmq_socket() {
  close();
}

void zmq_socket::close() noexcept {
  if (handle_ != nullptr) zmq_close(std::exchange(handle_, nullptr));
}

tl::expected<void, refusal> zmq_socket::set(int option, int value) {
  if (zmq_setsockopt(handle_, option, &value, sizeof value) == 0) return {};
  return failed("zmq_setsockopt", std::to_string(option));
}

tl::expected<void, refusal> zmq_socket::set_wide(int option, long long value) {
  const std::int64_t wide = value;
  if (zmq_setsockopt(handle_, option, &wide, sizeof wide) == 0) return {};
  return failed("zmq_setsockopt", std::to_string(option));
}

tl::expected<void, refusal> zmq_socket::set(int option, std::string_view value) {
  // Keys as text are taken with their final zero (41 bytes) by every version.
  const std::string text(value);
  const bool is_key = option == ZMQ_CURVE_PUBLICKEY || option == ZMQ_CURVE_SECRETKEY ||
                      option == ZMQ_CURVE_SERVERKEY;
  if (zmq_setsockopt(handle_, option, text.c_str(), text.size() + (is_key ? 1 : 0)) == 0) return {};
  return failed("zmq_setsockopt", std::to_string(option));
}

tl::expected<void, refusal> zmq_socket::bind(const std::string& endpoint) {
  if (zmq_bind(handle_, endpoint.c_str()) == 0) return {};
  return failed("bind", endpoint);
}

tl::expected<void, refusal> zmq_socket::connect(const std::string& endpoint) {
  if (zmq_connect(handle_, endpoint.c_str()) == 0) return {};
  return failed("connect", endpoint);
}

std::string zmq_socket::last_endpoint() const {
  char text[256] = {};
  std::size_t length = sizeof text;
  if (zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, text, &length) != 0 || length == 0) return {};
  return {text, length - 1};
}

zmq_socket::outcome zmq_socket::send_frame(std::string_view bytes, bool more) {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  while (zmq_send(handle_, bytes.data(), bytes.size(), flags) < 0) {
    if (zmq_errno() != EINTR) return outcome_of_errno();
  }
  return outcome::sent;
}

zmq_socket::outcome zmq_socket::send(std::string_view only) {
  return send_frame(only, false);
}

zmq_socket::outcome zmq_socket::send(std::string_view first, std::string_view second) {
  const outcome begun = send_frame(first, true);
  return begun == outcome::sent ? send_frame(second, false) : begun;
}

zmq_socket::outcome zmq_socket::send_all(const std::vector<std::string>& frames) {
  for (std::size_t at = 0; at < frames.size(); ++at) {
    const outcome result = send_frame(frames[at], at + 1 < frames.size());
    if (result != outcome::sent) return result;
  }
  return outcome::sent;
}

std::optional<zmq_received> zmq_socket::receive() {
  zmq_received result;
  bool more = true;
  while (more) {
    zmq_msg_t part;
    zmq_msg_init(&part);
    int got = 0;
    do {
      got = zmq_msg_recv(&part, handle_, ZMQ_DONTWAIT);
    } while (got < 0 && zmq_errno() == EINTR);
    if (got < 0) {
      zmq_msg_close(&part);
      return std::nullopt;
    }
    result.frames.emplace_back(static_cast<const char*>(zmq_msg_data(&part)), zmq_msg_size(&part));
    more = zmq_msg_more(&part) != 0;
    if (!more) {
      // What the session knows of its peer goes with the frames that came by the wire.
      if (const char* user = zmq_msg_gets(&part, "User-Id")) result.user_id = user;
      result.descriptor = zmq_msg_get(&part, ZMQ_SRCFD);
    }
    zmq_msg_close(&part);
  }
  return result;
}

tl::expected<zmq_monitor, refusal> zmq_monitor::open(const zmq_context& context,
                                                     zmq_socket& watched, int events) {
  static std::atomic<unsigned long> count{0};  // names only: unique among all contexts
  const std::string endpoint = "inproc://monitor-" + std::to_string(++count);
  if (zmq_socket_monitor(watched.handle(), endpoint.c_str(), events) != 0) {
    return failed("zmq_socket_monitor", endpoint);
  }
  zmq_monitor made;
  made.watched_ = watched.handle();
  auto pair = zmq_socket::open(context, ZMQ_PAIR);
  if (!pair) return tl::unexpected(pair.error());
  // The I/O thread waits for room in this queue: with a limit, a stalled reader would stall it.
  if (auto done = pair->set(ZMQ_RCVHWM, 0); !done) return tl::unexpected(done.error());
  if (auto done = pair->connect(endpoint); !done) return tl::unexpected(done.error());
  made.pair_ = std::move(*pair);
  return made;
}

zmq_monitor::zmq_monitor(zmq_monitor&& other) noexcept
    : watched_(std::exchange(other.watched_, nullptr)), pair_(std::move(other.pair_)) {}

zmq_monitor& zmq_monitor::operator=(zmq_monitor&& other) noexcept {
  std::swap(watched_, other.watched_);
  pair_ = std::move(other.pair_);  // swaps too
  return *this;
}

zmq_monitor::~zmq_monitor() {
  close();
}

void zmq_monitor::close() noexcept {
  // Returns when no event is on its way any more.
  if (watched_ != nullptr) zmq_socket_monitor(std::exchange(watched_, nullptr), nullptr, 0);
  pair_.close();
}

std::optional<zmq_monitor::event> zmq_monitor::next() {
  if (!pair_.is_open()) return std::nullopt;
  while (auto got = pair_.receive()) {
    if (got->frames.empty() || got->frames[0].size() < 6) continue;
    std::uint16_t what = 0;
    std::int32_t value = 0;
    std::memcpy(&what, got->frames[0].data(), sizeof what);
    std::memcpy(&value, got->frames[0].data() + sizeof what, sizeof value);
    return event{what, value};
  }
  return std::nullopt;
}

}  // namespace troupe::cluster
