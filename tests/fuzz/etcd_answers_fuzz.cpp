// SPDX-License-Identifier: Apache-2.0
//
// What etcd's gateway answers, of any bytes: a server of this process answers each request with the
// next part of the input (parts end with a zero byte), and when there are no more says that we are
// not let in, so that nobody tries again. The first byte says what is asked for. With it the texts
// that lie in etcd: who leads, where the log stands.
#include "cluster/etcd_client.hpp"
#include "cluster/etcd_keys.hpp"
#include "cluster/etcd_writer.hpp"
#include "cluster/leadership.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace {

namespace cluster = troupe::cluster;

void expect(bool holds) {
  if (!holds) std::abort();
}

/// A thread for each connection. Never destroyed: they end with the process.
class gateway {
 public:
  gateway() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    expect(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    expect(::listen(listener_, 16) == 0);
    expect(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    // So many that nobody waits before the next try.
    const std::string member = "http://127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    address.members.assign(64, member);
    std::thread([this] { accept_all(); }).detach();
  }
  void answer_with(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    answers_.clear();
    while (!bytes.empty() && answers_.size() < 16) {
      const auto end = bytes.find('\0');
      answers_.emplace_back(bytes.substr(0, end));
      bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    }
  }
  cluster::etcd_address address;

 private:
  std::string next_answer() {
    const std::lock_guard lock(mutex_);
    std::string status = "200 OK";
    std::string body = R"({"error":"no more","code":7})";
    if (answers_.empty()) {
      status = "403 Forbidden";
    } else {
      body = std::move(answers_.front());
      answers_.pop_front();
    }
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }
  void accept_all() {
    while (true) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client >= 0) std::thread([this, client] { serve(client); }).detach();
    }
  }
  void serve(int client) {
    const int now = 1;
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
    std::string in;
    char some[4096];
    for (ssize_t got = 0; (got = ::recv(client, some, sizeof some, 0)) > 0;) {
      in.append(some, static_cast<std::size_t>(got));
      const auto head = in.find("\r\n\r\n");
      const auto length = in.find("Content-Length: ");
      if (head == std::string::npos || length == std::string::npos) continue;
      std::size_t body = 0;
      std::from_chars(in.data() + length + 16, in.data() + head, body);
      if (in.size() < head + 4 + body) continue;
      in.clear();
      const std::string out = next_answer();
      if (::send(client, out.data(), out.size(), MSG_NOSIGNAL) < 0) break;
    }
    ::close(client);
  }

  int listener_;
  std::mutex mutex_;
  std::deque<std::string> answers_;
};

void try_texts(std::string_view text) {
  if (const auto at = cluster::position_from(text)) {
    const auto again = cluster::position_from(cluster::position_text(*at));
    expect(again && *again == *at);
  }
  if (const auto leader = cluster::leader_record::decode(text)) {
    const auto again = cluster::leader_record::decode(leader->encode());
    expect(again && again->name == leader->name && again->address == leader->address &&
           again->epoch == leader->epoch && again->nonce == leader->nonce);
  }
}

void expect_reason(const cluster::refusal& why) {
  expect(!why.reason.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace std::chrono_literals;
  if (size == 0) return 0;
  static auto& etcd = *new gateway;
  static auto& client = *new cluster::etcd_client(etcd.address);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try_texts(bytes);
  etcd.answer_with(bytes);
  const auto until = std::chrono::steady_clock::now() + 5s;
  switch (data[0] % 5) {
    case 0:
      if (const auto got = client.range("a", "b", 0, until); !got) expect_reason(got.error());
      break;
    case 1: {
      const auto got = client.transact({{.key = "a", .create_revision = 1}},
                                       {{cluster::etcd_operation::what::put, "a", "b"}},
                                       {{cluster::etcd_operation::what::range, "a"}}, until);
      if (!got) expect_reason(got.error());
      break;
    }
    case 2:
      if (const auto got = client.grant(10s, until); !got) expect_reason(got.error());
      break;
    case 3:
      if (const auto got = client.keep_alive(7, until); !got) expect_reason(got.error());
      break;
    default: {
      cluster::etcd_writer writer(etcd.address, {}, [until] { return until; });
      const auto got = writer.load();
      if (!got) {
        expect_reason(got.error());
        break;
      }
      // Whatever was said, what is taken is a history without gaps that ends at its head.
      cluster::position last = got->snapshot_at;
      for (std::size_t i = 0; i < got->changes.size(); ++i) {
        const auto& one = got->changes[i];
        expect(one.seq == got->cut + 1 + i && (i == 0 || one.parent == last.state));
        last = one.after();
      }
      expect(got->head == last);
    }
  }
  return 0;
}
