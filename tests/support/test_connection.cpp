// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_connection.hpp"

#include "tests/support/process.hpp"  // patience

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace troupe::tests {
namespace {

int patience_ms() {
  return static_cast<int>(std::chrono::milliseconds(patience).count());
}

int connect_to(const endpoint& to) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (!to.unix_path.empty()) {
    auto& address = reinterpret_cast<sockaddr_un&>(storage);
    address.sun_family = AF_UNIX;
    to.unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
    size = sizeof address;
  } else if (auto& six = reinterpret_cast<sockaddr_in6&>(storage);
             ::inet_pton(AF_INET6, to.host.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(to.port);
    size = sizeof six;
  } else {
    auto& four = reinterpret_cast<sockaddr_in&>(storage);
    storage = {};
    four.sin_family = AF_INET;
    four.sin_port = htons(to.port);
    const std::string host = to.host == "localhost" ? "127.0.0.1" : to.host;
    if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) != 1) return -1;
    size = sizeof four;
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    ::close(fd);
    return -1;
  }
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // each send is a segment
  return fd;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool names_chunked(const http_message& message) {
  const auto coding = message.header("Transfer-Encoding");
  return coding && same_name(trimmed(*coding), "chunked");
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) {
    return (x >= 'A' && x <= 'Z' ? x + 32 : x) == (y >= 'A' && y <= 'Z' ? y + 32 : y);
  });
}

std::optional<std::string> http_message::header(std::string_view name) const {
  std::optional<std::string> found;
  for (const auto& [field, value] : headers) {
    if (!same_name(field, name)) continue;
    found = found ? *found + ", " + value : value;
  }
  return found;
}

test_connection::test_connection(const endpoint& to) : socket_(connect_to(to)) {
  if (socket_ >= 0) return;
  failure_ = std::string("cannot connect: ") + std::strerror(errno);
  ADD_FAILURE() << failure_ << " to " << to.authority() << to.unix_path;
}

test_connection::test_connection(int socket) noexcept : socket_(socket) {}

test_connection::~test_connection() {
  close();
}

test_connection::test_connection(test_connection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      buffer_(std::move(other.buffer_)),
      failure_(std::move(other.failure_)) {}

test_connection& test_connection::operator=(test_connection&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(buffer_, other.buffer_);
  std::swap(failure_, other.failure_);
  return *this;
}

bool test_connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd ready{socket_, POLLOUT, 0};
    if (socket_ < 0 || ::poll(&ready, 1, patience_ms()) <= 0) return false;
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return socket_ >= 0;
}

std::size_t test_connection::send_some(std::string_view bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now =
        ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (now < 0) break;
    sent += static_cast<std::size_t>(now);
  }
  return sent;
}

bool test_connection::fill() {
  if (socket_ < 0) {
    if (failure_.empty()) failure_ = "not connected";
    return false;
  }
  for (;;) {
    pollfd ready{socket_, POLLIN, 0};
    const int count = ::poll(&ready, 1, patience_ms());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      failure_ = "nothing came";
      return false;
    }
    char bytes[16384];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) failure_ = std::strerror(errno);
    if (got == 0) failure_ = "the peer closed";
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
}

std::optional<std::string> test_connection::line() {
  const std::string text = read_until("\n");
  if (!text.ends_with('\n')) {
    buffer_ = text;  // not a line: it stays for read_rest
    return std::nullopt;
  }
  return text.substr(0, text.size() - (text.ends_with("\r\n") ? 2 : 1));
}

bool test_connection::read_fields(header_list& into, std::string& error) {
  for (;;) {
    const auto text = line();
    if (!text) {
      error = "cut in the fields: " + failure_;
      return false;
    }
    if (text->empty()) return true;
    const auto colon = text->find(':');
    if (colon == std::string::npos) {
      error = "no field: " + *text;
      return false;
    }
    into.emplace_back(text->substr(0, colon), trimmed(std::string_view(*text).substr(colon + 1)));
  }
}

response test_connection::read_head() {
  response result;
  const auto first = line();
  if (!first) {
    result.error = "no response: " + failure_;
    return result;
  }
  result.start_line = *first;
  if (!read_fields(result.headers, result.error)) return result;
  const auto space = first->find(' ');
  if (!first->starts_with("HTTP/1.") || space == std::string::npos)
    result.error = "no status line: " + *first;
  else
    std::from_chars(first->data() + space + 1, first->data() + first->size(), result.status);
  return result;
}

response test_connection::read_response(bool to_head) {
  std::vector<int> interim;
  response result = read_head();
  while (result.status >= 100 && result.status < 200 && result.status != 101) {
    interim.push_back(result.status);
    result = read_head();
  }
  result.interim = std::move(interim);
  const bool empty =
      to_head || result.status == 204 || result.status == 304 || result.status == 101;
  if (result.error.empty() && !empty) read_body(result, true);
  return result;
}

http_message test_connection::read_request() {
  http_message result;
  const auto first = line();
  if (!first) {
    result.error = "no request: " + failure_;
    return result;
  }
  result.start_line = *first;
  if (read_fields(result.headers, result.error)) read_body(result, false);
  return result;
}

void test_connection::read_body(http_message& message, bool until_close) {
  if (names_chunked(message)) return read_chunked(message);
  const auto length = message.header("Content-Length");
  if (!length) {
    if (until_close) message.body = read_rest();
    return;
  }
  std::size_t bytes = 0;
  const auto [end, failed] =
      std::from_chars(length->data(), length->data() + length->size(), bytes);
  if (failed != std::errc() || end != length->data() + length->size()) {
    message.error = "no length: " + *length;
    return;
  }
  message.body = read_exactly(bytes);
  if (message.body.size() < bytes) message.error = "cut in the body: " + failure_;
}

void test_connection::read_chunked(http_message& message) {
  for (;;) {
    const auto head = line();
    std::size_t bytes = 0;
    if (!head ||
        std::from_chars(head->data(), head->data() + head->size(), bytes, 16).ec != std::errc()) {
      message.error = head ? "no chunk size: " + *head : "cut before a chunk: " + failure_;
      return;
    }
    if (bytes == 0) break;
    const std::string part = read_exactly(bytes);
    message.body += part;
    if (part.size() < bytes || read_exactly(2) != "\r\n") {
      message.error = "cut in a chunk: " + failure_;
      return;
    }
  }
  read_fields(message.trailers, message.error);
}

std::string test_connection::read_exactly(std::size_t bytes) {
  while (buffer_.size() < bytes && fill()) {
  }
  std::string result = buffer_.substr(0, bytes);
  buffer_.erase(0, bytes);
  return result;
}

std::string test_connection::read_until(std::string_view end) {
  std::size_t from = 0;
  for (;;) {
    const auto at = buffer_.find(end, from);
    if (at != std::string::npos) return read_exactly(at + end.size());
    from = buffer_.size() < end.size() ? 0 : buffer_.size() - end.size() + 1;
    if (!fill()) return std::exchange(buffer_, {});
  }
}

std::string test_connection::read_rest() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

bool test_connection::is_closed_by_peer() {
  failure_.clear();
  return buffer_.empty() && !fill() && failure_ != "nothing came";
}

bool test_connection::has_more() const {
  pollfd ready{socket_, POLLIN, 0};
  return !buffer_.empty() || ::poll(&ready, 1, 0) > 0;
}

void test_connection::finish_sending() {
  ::shutdown(socket_, SHUT_WR);
}

void test_connection::reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void test_connection::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void test_connection::receive_buffer(int bytes) {
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

}  // namespace troupe::tests
