// SPDX-License-Identifier: Apache-2.0
//
// A ZeroMQ context as this program wants it, and one socket of it: the few calls that are made,
// with what they answer as values.
//
// Source   zmq_ctx_set(3), zmq_setsockopt(3), zmq_msg_gets(3), zmq_socket_monitor(3) of libzmq 4.3.
// Thread   the context: any; a socket: the one that uses it.
// Errors   `io` refusals that name the call and the endpoint.
// Called   by cluster/zap, cluster/lower_sockets, cluster/upper_socket, cluster/agent.
#pragma once

#include "cluster/refusal.hpp"

#include <tl/expected.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

class zmq_context {
 public:
  struct options {
    int io_threads = 0;  ///< 0: one, two from four cores on.
    int max_sockets = 16'384;
  };
  [[nodiscard]] static tl::expected<std::unique_ptr<zmq_context>, refusal> make(options how);
  [[nodiscard]] static tl::expected<std::unique_ptr<zmq_context>, refusal> make();
  zmq_context(const zmq_context&) = delete;
  zmq_context& operator=(const zmq_context&) = delete;
  /// All sockets must be closed.
  ~zmq_context();

  [[nodiscard]] void* handle() const noexcept { return handle_; }

 private:
  explicit zmq_context(void* handle) : handle_(handle) {}
  void* handle_;
};

/// Raises the process's soft limit of descriptors to the hard one. @return the limit that holds now
std::size_t raise_descriptor_limit() noexcept;

/// What came in one piece.
struct zmq_received {
  std::vector<std::string> frames;
  std::string user_id;  ///< As ZAP let the sender in; empty: it did not.
  int descriptor = -1;  ///< Of the connection it came by; -1: unknown.
};

class zmq_socket {
 public:
  enum class outcome { sent, full, unreachable, failed };

  zmq_socket() noexcept = default;
  [[nodiscard]] static tl::expected<zmq_socket, refusal> open(const zmq_context& context, int type);
  zmq_socket(zmq_socket&& other) noexcept;
  zmq_socket& operator=(zmq_socket&& other) noexcept;
  ~zmq_socket();

  [[nodiscard]] void* handle() const noexcept { return handle_; }
  [[nodiscard]] bool is_open() const noexcept { return handle_ != nullptr; }
  void close() noexcept;

  /// An option that libzmq does not take is a refusal that names it.
  [[nodiscard]] tl::expected<void, refusal> set(int option, int value);
  [[nodiscard]] tl::expected<void, refusal> set_wide(int option, long long value);
  [[nodiscard]] tl::expected<void, refusal> set(int option, std::string_view value);

  [[nodiscard]] tl::expected<void, refusal> bind(const std::string& endpoint);
  [[nodiscard]] tl::expected<void, refusal> connect(const std::string& endpoint);
  [[nodiscard]] std::string last_endpoint() const;

  /// Never waits.
  outcome send(std::string_view only);
  outcome send(std::string_view first, std::string_view second);
  outcome send_all(const std::vector<std::string>& frames);
  [[nodiscard]] std::optional<zmq_received> receive();

 private:
  explicit zmq_socket(void* handle) noexcept : handle_(handle) {}
  outcome send_frame(std::string_view bytes, bool more);
  void* handle_ = nullptr;
};

/// What happens to a socket's connections, as its I/O thread saw it. It has to end before the
/// socket that it watches: declare it after.
///
/// An event that nobody is there to take stops the I/O thread for ever, and with it every link of
/// the context: libzmq waits for a reader without a limit. So the events are turned off before the
/// reader goes.
class zmq_monitor {
 public:
  struct event {
    int what = 0;   ///< ZMQ_EVENT_…
    int value = 0;  ///< A descriptor, an errno or a code of the protocol.
  };
  zmq_monitor() noexcept = default;
  [[nodiscard]] static tl::expected<zmq_monitor, refusal> open(const zmq_context& context,
                                                               zmq_socket& watched, int events);
  zmq_monitor(zmq_monitor&& other) noexcept;
  zmq_monitor& operator=(zmq_monitor&& other) noexcept;
  ~zmq_monitor();

  [[nodiscard]] void* handle() const noexcept { return pair_.handle(); }
  [[nodiscard]] std::optional<event> next();
  void close() noexcept;

 private:
  void* watched_ = nullptr;
  zmq_socket pair_;
};

}  // namespace troupe::cluster
