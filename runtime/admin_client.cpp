// SPDX-License-Identifier: Apache-2.0
#include "runtime/admin_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "net/header_map.hpp"
#include "net/uri.hpp"
#include "runtime/unix_address.hpp"

namespace troupe {
namespace {

constexpr std::size_t most_line_bytes = 64u << 20;

}  // namespace

std::string target_word(std::string_view word) {
  std::string out;
  net::escape_uri(out, word, net::escape_type::component);
  return out;
}

admin_client::admin_client(net::unique_fd socket, std::string path,
                           std::optional<clock::time_point> deadline)
    : socket_(std::move(socket)), path_(std::move(path)), deadline_(deadline) {}

diagnostic admin_client::problem(std::string reason) const {
  return {.reason = "the node at " + path_ + ' ' + reason};
}

tl::expected<admin_client, diagnostic> admin_client::connect(
    const std::string& node, std::optional<clock::time_point> deadline) {
  std::string path = node;
  struct stat found {};
  if (stat(path.c_str(), &found) != 0 || S_ISDIR(found.st_mode)) {
    if (!path.ends_with('/')) path += '/';
    path += "control.sock";
  }
  const unix_address where(path);
  net::unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), where.get(), where.size()) != 0) {
    const int error = errno;
    diagnostic refused{.reason = "no node answers at " + path + ": " + strerrordesc_np(error)};
    if (error == EACCES) {
      refused.hint = "the socket belongs to another user: run this as that user or as root";
    } else {
      refused.hint = "is it running? --name NAME, --data DIR or --node ADDR say which one is meant";
    }
    return tl::unexpected(std::move(refused));
  }
  return admin_client(std::move(socket), std::move(path), deadline);
}

int admin_client::left_ms() const {
  if (!deadline_) return -1;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ - clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
}

tl::expected<void, diagnostic> admin_client::receive_more() {
  for (;;) {
    pollfd watched{socket_.get(), POLLIN, 0};
    const int ready = poll(&watched, 1, left_ms());
    if (ready == 0) return tl::unexpected(problem("gave no answer in time"));
    if (ready < 0 && errno == EINTR) continue;
    char room[64 * 1024];
    const ssize_t got = recv(socket_.get(), room, sizeof room, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return tl::unexpected(problem(std::string("broke off: ") + strerrordesc_np(errno)));
    if (got == 0) return tl::unexpected(problem("ended before it answered"));
    input_.append(room, static_cast<std::size_t>(got));
    return {};
  }
}

tl::expected<std::string, diagnostic> admin_client::read_line() {
  std::size_t seen = 0;
  for (;;) {
    if (const auto end = input_.find('\n', seen); end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (line.ends_with('\r')) line.pop_back();
      return line;
    }
    seen = input_.size();
    if (seen > most_line_bytes) return tl::unexpected(problem("sent a line without an end"));
    if (auto more = receive_more(); !more) return tl::unexpected(more.error());
  }
}

tl::expected<std::string, diagnostic> admin_client::read_bytes(std::size_t count) {
  while (input_.size() < count) {
    if (auto more = receive_more(); !more) return tl::unexpected(more.error());
  }
  std::string bytes = input_.substr(0, count);
  input_.erase(0, count);
  return bytes;
}

tl::expected<void, diagnostic> admin_client::send_request(std::string_view method,
                                                          std::string_view target,
                                                          std::string_view body) {
  std::string out(method);
  out += ' ';
  out += target;
  out += " HTTP/1.1\r\nHost: node\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  out += body;
  std::string_view rest = out;
  while (!rest.empty()) {
    const ssize_t sent =
        send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      pollfd watched{socket_.get(), POLLOUT, 0};
      if (poll(&watched, 1, left_ms()) == 0) {
        return tl::unexpected(problem("gave no answer in time"));
      }
      continue;
    }
    // A node that refuses early has answered already.
    if (sent <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

tl::expected<admin_client::response_head, diagnostic> admin_client::read_head() {
  for (;;) {
    auto line = read_line();
    if (!line) return tl::unexpected(line.error());
    response_head head;
    if (!line->starts_with("HTTP/1.1 ") || line->size() < 12) {
      return tl::unexpected(problem("speaks no HTTP"));
    }
    head.status = std::atoi(line->c_str() + 9);
    for (;;) {
      line = read_line();
      if (!line) return tl::unexpected(line.error());
      if (line->empty()) break;
      const auto colon = line->find(": ");
      if (colon == std::string::npos) continue;
      const std::string_view name = std::string_view(*line).substr(0, colon);
      const std::string value = line->substr(colon + 2);
      if (net::equals_ignoring_case(name, "content-length")) {
        head.length = std::strtoull(value.c_str(), nullptr, 10);
      } else if (net::equals_ignoring_case(name, "transfer-encoding")) {
        head.is_chunked = value == "chunked";
      }
    }
    if (head.status != 100) return head;
  }
}

tl::expected<admin_client::reply, diagnostic> admin_client::ask(std::string_view method,
                                                                std::string_view target,
                                                                std::string_view body) {
  if (auto sent = send_request(method, target, body); !sent) return tl::unexpected(sent.error());
  const auto head = read_head();
  if (!head) return tl::unexpected(head.error());
  auto bytes = read_bytes(head->length);
  if (!bytes) return tl::unexpected(bytes.error());
  return reply{head->status, std::move(*bytes)};
}

tl::expected<admin_client::reply, diagnostic> admin_client::follow(
    std::string_view method, std::string_view target, std::string_view body,
    const std::function<bool(std::string_view)>& on_line) {
  if (auto sent = send_request(method, target, body); !sent) return tl::unexpected(sent.error());
  const auto head = read_head();
  if (!head) return tl::unexpected(head.error());
  if (!head->is_chunked) {
    auto bytes = read_bytes(head->length);
    if (!bytes) return tl::unexpected(bytes.error());
    return reply{head->status, std::move(*bytes)};
  }
  for (;;) {
    const auto size_line = read_line();
    if (!size_line) return tl::unexpected(size_line.error());
    const std::size_t size = std::strtoull(size_line->c_str(), nullptr, 16);
    auto chunk = read_bytes(size);
    if (!chunk) return tl::unexpected(chunk.error());
    if (auto end = read_line(); !end) return tl::unexpected(end.error());
    if (size == 0) return reply{head->status, {}};
    if (chunk->ends_with('\n')) chunk->pop_back();  // The node sends a line a chunk.
    if (!on_line(*chunk)) return reply{head->status, {}};
  }
}

}  // namespace troupe
