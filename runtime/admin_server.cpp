// SPDX-License-Identifier: Apache-2.0
#include "runtime/admin_server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "net/address.hpp"
#include "net/arena.hpp"
#include "net/http1_parser.hpp"
#include "net/query_args.hpp"
#include "net/socket.hpp"
#include "net/uri.hpp"
#include "runtime/json_text.hpp"
#include "runtime/log_file.hpp"
#include "runtime/process.hpp"
#include "runtime/system_hint.hpp"
#include "runtime/unix_address.hpp"

namespace troupe {
namespace {

constexpr std::size_t most_head_bytes = 16 * 1024;
constexpr std::size_t most_body_bytes = std::size_t{1} << 30;
constexpr int most_connections = 128;
constexpr int most_tcp_connections = 32;
constexpr int idle_ms = 60'000;  // A client that says nothing for so long is let go.

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Internal Server Error";
  }
}

std::string decoded(std::string_view text) {
  std::string out;
  net::unescape_uri(out, text, true);
  return out;
}

/// One connection, on its thread.
class conversation {
 public:
  conversation(net::unique_fd socket, const admin_server::handler& answer, int stop_event,
               bool is_local)
      : socket_(std::move(socket)), answer_(answer), stop_event_(stop_event), is_local_(is_local) {
    ucred who{};
    socklen_t size = sizeof who;
    if (is_local && getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0) {
      peer_ = {who.pid, who.uid};
    }
  }

  void run() {
    while (const auto request = read_request()) {
      if (!respond(*request)) return;
    }
  }

  /// When it has ended.
  net::unique_fd take_socket() { return std::move(socket_); }

 private:
  // False: the time is over, the client has gone, or the node stops.
  bool wait_for(short events) {
    pollfd watched[] = {{socket_.get(), events, 0}, {stop_event_, POLLIN, 0}};
    int result = 0;
    do result = poll(watched, 2, idle_ms);
    while (result < 0 && errno == EINTR);
    return result > 0 && watched[1].revents == 0;
  }

  bool receive_more() {
    if (!wait_for(POLLIN)) return false;
    char room[64 * 1024];
    const ssize_t got = recv(socket_.get(), room, sizeof room, 0);
    if (got <= 0) return false;
    input_.append(room, static_cast<std::size_t>(got));
    return true;
  }

  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (sent < 0 && errno == EAGAIN) {
        if (!wait_for(POLLOUT)) return false;
      } else if (sent < 0 && errno != EINTR) {
        return false;
      }
    }
    return true;
  }

  void refuse(int status, std::string_view why) {
    send_response({.status = status,
                   .body = "{\"error\":\"bad_request\",\"reason\":" + json_string(why) + "}\n",
                   .stream = {}},
                  false);
  }

  // Nothing: the connection ends; a refusal has been sent.
  std::optional<admin_request> read_request() {
    net::http1_parser parser;
    net::request_head head;
    net::header_map fields;
    for (;;) {
      const auto status = parser.parse(input_, head, fields, {});
      if (status == net::parse_status::done) break;
      if (status == net::parse_status::failed) {
        refuse(net::http_status(parser.error), net::message(parser.error));
        return {};
      }
      if (input_.size() > most_head_bytes) {
        refuse(431, "the head is too long");
        return {};
      }
      if (!receive_more()) return {};
    }
    if (head.is_chunked) {
      refuse(411, "chunked bodies are not taken, Content-Length is needed");
      return {};
    }
    const std::uint64_t length = head.content_length.value_or(0);
    if (!is_local_ && (length > 0 || head.method_name != "GET")) {
      refuse(405, "only GET is answered here");
      return {};
    }
    if (length > most_body_bytes) {
      refuse(413, "the body is too long");
      return {};
    }
    net::arena memory;
    net::target target;
    if (!net::parse_target(head.target, true, memory, target)) {
      refuse(400, "bad request target");
      return {};
    }
    admin_request request;
    request.method = head.method_name;
    // As it was sent: "a//b" and "a/../b" are keys of config values, and no others'.
    const std::string_view sent(head.target);
    net::unescape_uri(request.path, sent.substr(0, sent.find('?')), false);
    request.peer = peer_;
    std::string_view rest = target.args;
    for (net::query_arg pair; net::take_query_arg(rest, pair);) {
      if (!pair.key.empty()) request.query.insert_or_assign(decoded(pair.key), decoded(pair.value));
    }
    keep_alive_ = head.keep_alive;
    const std::size_t head_bytes = head.size;
    if (head.expects_continue && input_.size() - head_bytes < length &&
        !send_all("HTTP/1.1 100 Continue\r\n\r\n")) {
      return {};
    }
    while (input_.size() - head_bytes < length) {
      if (!receive_more()) return {};
    }
    request.body = input_.substr(head_bytes, length);
    input_.erase(0, head_bytes + length);
    return request;
  }

  bool send_response(const admin_response& response, bool keep) {
    std::string out = "HTTP/1.1 " + std::to_string(response.status) + ' ' +
                      std::string(reason_phrase(response.status)) +
                      "\r\nContent-Type: " + response.type;
    if (!keep) out += "\r\nConnection: close";
    if (response.stream) return send_all(out += "\r\nTransfer-Encoding: chunked\r\n\r\n");
    out += "\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n\r\n";
    return send_all(out += response.body);
  }

  // Whether the next request may follow.
  bool respond(const admin_request& request) {
    const admin_response response = answer_(request);
    if (!send_response(response, keep_alive_)) return false;
    if (response.stream) {
      bool broken = false;
      response.stream([&](std::string_view line) {
        if (line.empty()) return !broken && is_listening();
        char size[24];
        std::snprintf(size, sizeof size, "%zx\r\n", line.size() + 1);
        broken = broken || !send_all(size + std::string(line) + "\n\r\n");
        return !broken && is_listening();
      });
      if (broken || !send_all("0\r\n\r\n")) return false;
    }
    return keep_alive_;
  }

  [[nodiscard]] bool is_listening() const {
    pollfd watched[] = {{socket_.get(), POLLIN | POLLRDHUP, 0}, {stop_event_, POLLIN, 0}};
    if (poll(watched, 2, 0) <= 0) return true;
    return watched[1].revents == 0 && (watched[0].revents & (POLLHUP | POLLRDHUP | POLLERR)) == 0;
  }

  net::unique_fd socket_;
  const admin_server::handler& answer_;
  int stop_event_;
  bool is_local_;
  admin_peer peer_;
  std::string input_;
  bool keep_alive_ = false;
};

}  // namespace

struct admin_server::impl {
  std::string path;   ///< Empty: it listens on TCP.
  dev_t device = 0;  ///< Of the socket that is bound: the path may be another's by the end.
  ino_t inode = 0;
  handler answer;
  net::unique_fd listening;
  net::unique_fd stop_read;  ///< Readable, to all threads, once the server ends.
  net::unique_fd stop_write;
  /// Under the mutex. Given up when there is no other descriptor for a connection, so that the node can
  /// be asked even then, and says what it lacks.
  net::unique_fd spare;
  std::thread acceptor;
  std::mutex mutex;
  std::condition_variable changed;
  int connections = 0;  ///< Under the mutex.

  void run() {
    name_thread("control");
    for (;;) {
      pollfd watched[] = {{listening.get(), POLLIN, 0}, {stop_read.get(), POLLIN, 0}};
      if (poll(watched, 2, -1) < 0 && errno != EINTR) return;
      if (watched[1].revents != 0) return;
      net::unique_fd socket = accept();
      if (!socket) {
        // Out of descriptors: it stays readable, so give others time to close some.
        if (errno == EMFILE || errno == ENFILE) poll(&watched[1], 1, 100);
        continue;
      }
      {
        const std::lock_guard lock(mutex);
        if (connections >= (path.empty() ? most_tcp_connections : most_connections)) {
          keep_spare(std::move(socket));
          continue;
        }
        ++connections;
      }
      try {
        std::thread([this, accepted = std::move(socket)]() mutable {
          name_thread("control-client");
          conversation with(std::move(accepted), answer, stop_read.get(), !path.empty());
          with.run();
          leave(with.take_socket());
        }).detach();
      } catch (const std::system_error&) {  // No thread to be had.
        leave({});
      }
    }
  }

  net::unique_fd accept() {
    const auto one = [this] {
      return net::unique_fd(
          accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    };
    net::unique_fd socket = one();
    if (socket || (errno != EMFILE && errno != ENFILE)) return socket;
    const std::lock_guard lock(mutex);
    if (!spare) return socket;
    spare.reset();
    socket = one();
    if (const int number = errno; !socket) {
      keep_spare({});
      errno = number;
    }
    return socket;
  }

  /// Under the mutex.
  /// @param ended  a connection whose descriptor may be kept: at no moment is it anybody's to take.
  void keep_spare(net::unique_fd ended) {
    if (spare || path.empty()) return;
    if (!ended) {
      spare.reset(fcntl(stop_read.get(), F_DUPFD_CLOEXEC, 0));
    } else if (dup3(stop_read.get(), ended.get(), O_CLOEXEC) >= 0) {
      spare = std::move(ended);
    }
  }

  void leave(net::unique_fd ended) {
    const std::lock_guard lock(mutex);
    keep_spare(std::move(ended));
    --connections;
    changed.notify_all();
  }
};

admin_server::admin_server(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
admin_server::admin_server(admin_server&&) noexcept = default;

tl::expected<admin_server, diagnostic> admin_server::open(const std::string& path, handler answer) {
  auto failed = [&](const char* call) {
    diagnostic problem = system_problem(call, path, errno);
    if (problem.hint.empty()) problem.hint = "--data DIR names another data folder";
    return tl::unexpected(std::move(problem));
  };
  auto made = std::make_unique<impl>();
  made->path = path;
  made->answer = std::move(answer);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed("pipe");
  made->stop_read.reset(ends[0]);
  made->stop_write.reset(ends[1]);
  made->listening.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made->listening) return failed("socket");
  // Made beside and renamed: at no moment is there nobody to connect to.
  const std::string fresh = path + '.' + std::to_string(getpid());
  unlink(fresh.c_str());
  const unix_address where(fresh);
  // Nobody may connect between bind() and a chmod(): the mode comes from the umask of the moment.
  const mode_t before = umask(0177);
  const int bound = bind(made->listening.get(), where.get(), where.size());
  const int error = errno;
  umask(before);
  errno = error;
  if (bound != 0) return failed("bind");
  if (listen(made->listening.get(), 64) != 0 || rename(fresh.c_str(), path.c_str()) != 0) {
    const int number = errno;
    unlink(fresh.c_str());
    errno = number;
    return failed("listen");
  }
  if (struct stat found{}; stat(path.c_str(), &found) == 0) {
    made->device = found.st_dev;
    made->inode = found.st_ino;
  }
  made->keep_spare({});
  made->acceptor = std::thread([self = made.get()] { self->run(); });
  return admin_server(std::move(made));
}

tl::expected<admin_server, diagnostic> admin_server::open_tcp(const std::string& address,
                                                              handler answer,
                                                              net::unique_fd inherited) {
  const auto where = net::address::parse_listen(address);
  if (!where || where->is_unix()) {
    return tl::unexpected(diagnostic{.reason = '"' + address + "\" is no address to listen on",
                                     .hint = "write it as 127.0.0.1:8081 or [::1]:8081"});
  }
  auto failed = [&](const char* call) {
    return tl::unexpected(diagnostic{.reason = system_error_text(call, address, errno)});
  };
  auto made = std::make_unique<impl>();
  made->answer = std::move(answer);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed("pipe");
  made->stop_read.reset(ends[0]);
  made->stop_write.reset(ends[1]);
  made->listening = std::move(inherited);
  if (!made->listening) {
    made->listening.reset(socket(where->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made->listening) return failed("socket");
    const int on = 1;
    setsockopt(made->listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(made->listening.get(), where->raw(), where->size()) != 0) return failed("bind");
    if (listen(made->listening.get(), 64) != 0) return failed("listen");
  }
  made->acceptor = std::thread([self = made.get()] { self->run(); });
  return admin_server(std::move(made));
}

net::unique_fd admin_server::copy() const {
  return net::unique_fd(fcntl(impl_->listening.get(), F_DUPFD_CLOEXEC, 3));
}

admin_server::~admin_server() {
  if (!impl_) return;
  impl_->stop_write.reset();
  impl_->acceptor.join();
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [this] { return impl_->connections == 0; });
  if (impl_->path.empty()) return;
  struct stat found {};
  if (stat(impl_->path.c_str(), &found) == 0 && found.st_dev == impl_->device &&
      found.st_ino == impl_->inode) {
    unlink(impl_->path.c_str());
  }
}

}  // namespace troupe
