// SPDX-License-Identifier: Apache-2.0
#include "tests/support/dns_peer.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string_view>

namespace troupe::tests {
namespace {

std::string number(unsigned value, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes));
  return text;
}

std::string labels(const std::string& name) {
  std::string text;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t end = std::min(name.find('.', at), name.size());
    text += static_cast<char>(end - at);
    text += name.substr(at, end - at);
    at = end + 1;
  }
  return text + '\0';
}

unsigned at(std::string_view bytes, std::size_t index) {
  return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0;
}

dns_question parse(std::string_view datagram, bool over_tcp) {
  dns_question asked;
  asked.over_tcp = over_tcp;
  asked.id = static_cast<std::uint16_t>(at(datagram, 0) << 8 | at(datagram, 1));
  std::size_t i = 12;
  while (at(datagram, i) != 0) {
    if (!asked.name.empty()) asked.name += '.';
    asked.name += datagram.substr(i + 1, at(datagram, i));
    i += at(datagram, i) + 1;
  }
  asked.type = static_cast<int>(at(datagram, i + 1) << 8 | at(datagram, i + 2));
  return asked;
}

std::string read_exactly(int fd, std::size_t size) {
  std::string bytes(size, '\0');
  const ssize_t n = ::recv(fd, bytes.data(), size, MSG_WAITALL);
  return n == static_cast<ssize_t>(size) ? bytes : std::string();
}

}  // namespace

dns_answer::dns_answer(const dns_question& to, int code, bool is_cut)
    : head_(number(to.id, 2) + number(0x8180U | (is_cut ? 0x0200U : 0U) | static_cast<unsigned>(code), 2) +
            number(1, 2)),
      question_(labels(to.name) + number(static_cast<unsigned>(to.type), 2) + number(1, 2)) {}

dns_answer& dns_answer::add(const std::string& name, int type, const std::string& data, unsigned ttl) {
  std::string bytes;
  if (type == dns_cname) {
    bytes = labels(data);
  } else {
    bytes.resize(type == dns_a ? 4 : 16);
    EXPECT_EQ(::inet_pton(type == dns_a ? AF_INET : AF_INET6, data.c_str(), bytes.data()), 1) << data;
  }
  records_ += labels(name) + number(static_cast<unsigned>(type), 2) + number(1, 2) + number(ttl, 4) +
              number(static_cast<unsigned>(bytes.size()), 2) + bytes;
  ++count_;
  return *this;
}

std::string dns_answer::bytes() const {
  return head_ + number(static_cast<unsigned>(count_), 2) + number(0, 4) + question_ + records_;
}

dns_peer::dns_peer(answers give) : give_(std::move(give)) {
  // Both on one port: a free one of UDP may be taken in TCP.
  for (int tries = 0; tries < 50; ++tries) {
    udp_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    tcp_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(udp_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here);
    port_ = net::local_address(udp_.get()).port();
    here.sin_port = htons(port_);
    if (::bind(tcp_.get(), reinterpret_cast<sockaddr*>(&here), sizeof here) == 0) break;
  }
  EXPECT_EQ(::listen(tcp_.get(), 16), 0);
  udp_thread_ = std::thread([this] { serve_udp(); });
  tcp_thread_ = std::thread([this] { serve_tcp(); });
}

dns_peer::~dns_peer() {
  ::shutdown(udp_.get(), SHUT_RDWR);
  ::shutdown(tcp_.get(), SHUT_RDWR);
  if (const int fd = served_; fd >= 0) ::shutdown(fd, SHUT_RDWR);
  udp_thread_.join();
  tcp_thread_.join();
}

std::vector<std::string> dns_peer::asked() const {
  const std::lock_guard hold(mutex_);
  return asked_;
}

std::vector<std::string> dns_peer::answers_to(std::string_view datagram, bool over_tcp) {
  const dns_question asked = parse(datagram, over_tcp);
  const std::lock_guard hold(mutex_);
  asked_.push_back(asked.name + " " +
                   (asked.type == dns_a      ? "A"
                    : asked.type == dns_aaaa ? "AAAA"
                                             : std::to_string(asked.type)) +
                   (over_tcp ? " tcp" : ""));
  return give_(asked);
}

void dns_peer::serve_udp() {
  char room[4096];
  for (;;) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t n =
        ::recvfrom(udp_.get(), room, sizeof room, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n <= 0) return;
    for (const std::string& bytes : answers_to({room, static_cast<std::size_t>(n)}, false)) {
      ::sendto(udp_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
}

void dns_peer::serve_tcp() {
  for (;;) {
    const net::unique_fd fd(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    served_ = fd.get();
    for (;;) {
      const std::string size = read_exactly(fd.get(), 2);
      if (size.empty()) break;
      const std::string question = read_exactly(fd.get(), at(size, 0) << 8 | at(size, 1));
      for (const std::string& bytes : answers_to(question, true)) {
        const std::string framed = number(static_cast<unsigned>(bytes.size()), 2) + bytes;
        ::send(fd.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
      }
    }
    served_ = -1;
  }
}

dns_peer::answers knows(const std::string& name, const std::string& address, unsigned ttl) {
  return [=](const dns_question& asked) -> std::vector<std::string> {
    if (asked.name != name) return {dns_answer(asked, 3).bytes()};
    dns_answer answer(asked);
    if (asked.type == dns_a) answer.add(name, dns_a, address, ttl);
    return {answer.bytes()};
  };
}

}  // namespace troupe::tests
