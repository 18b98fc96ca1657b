// SPDX-License-Identifier: Apache-2.0
//
// A name server of the test's: each question is handed to the function given, which says with what
// datagrams it is answered, however wrong. The same port speaks TCP.
//
// Source   RFC 1035 section 4.
// Thread   the function runs on threads of the peer, one question at a time.
// Called   by tests of net/resolver.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/socket.hpp"

namespace troupe::tests {

constexpr int dns_a = 1, dns_cname = 5, dns_aaaa = 28;

struct dns_question {
  std::uint16_t id = 0;
  std::string name;
  int type = 0;
  bool over_tcp = false;
};

/// An answer as bytes. Records are given in their order.
class dns_answer {
public:
  explicit dns_answer(const dns_question& to, int code = 0, bool is_cut = false);
  /// @param data  of A and AAAA the address, of CNAME a name.
  dns_answer& add(const std::string& name, int type, const std::string& data, unsigned ttl = 60);
  [[nodiscard]] std::string bytes() const;

private:
  std::string head_, question_, records_;
  int count_ = 0;
};

class dns_peer {
public:
  using answers = std::function<std::vector<std::string>(const dns_question& asked)>;
  explicit dns_peer(answers give);
  ~dns_peer();
  dns_peer(const dns_peer&) = delete;
  dns_peer& operator=(const dns_peer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// "127.0.0.1:PORT"
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  /// What was asked so far: "NAME TYPE", with " tcp" if so.
  [[nodiscard]] std::vector<std::string> asked() const;

private:
  std::vector<std::string> answers_to(std::string_view datagram, bool over_tcp);
  void serve_udp();
  void serve_tcp();

  answers give_;
  net::unique_fd udp_, tcp_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> asked_;  ///< Under mutex_.
  std::atomic<int> served_{-1};     ///< The TCP connection of now.
  std::thread udp_thread_, tcp_thread_;
};

/// A peer that knows one name's IPv4 address, and no other name.
dns_peer::answers knows(const std::string& name, const std::string& address, unsigned ttl = 60);

}  // namespace troupe::tests
