// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/push_nodes/etcd_watch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::bench {
namespace {

using clock = std::chrono::steady_clock;

int connect_to(int port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (connect(descriptor, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    std::perror("push_nodes: etcd");
    std::exit(1);
  }
  return descriptor;
}

void post(int to, const std::string& path, const std::string& body) {
  const std::string all = "POST " + path +
                          " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                          "Content-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body;
  if (write(to, all.data(), all.size()) != static_cast<ssize_t>(all.size())) std::exit(1);
}

struct watcher {
  int descriptor = -1;
  std::string tail;  ///< What a mark may have begun in.
};

/// How often `mark` comes in what is there to read.
int read_marks(watcher& one, const std::string& mark) {
  static char bytes[65'536];
  const ssize_t got = recv(one.descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got == 0) std::exit(1);
  if (got < 0) return 0;
  one.tail.append(bytes, static_cast<std::size_t>(got));
  int marks = 0;
  std::size_t at = 0;
  for (std::size_t found; (found = one.tail.find(mark, at)) != std::string::npos; ++marks) {
    at = found + mark.size();
  }
  one.tail.erase(0, std::max(at, one.tail.size() - std::min(one.tail.size(), mark.size() - 1)));
  return marks;
}

/// @return when the last of so many has come
clock::time_point collect(int epoll, int expected, const std::string& mark) {
  std::vector<epoll_event> events(4'096);
  while (expected > 0) {
    const int count = epoll_wait(epoll, events.data(), 4'096, 60'000);
    if (count <= 0) std::exit(1);
    for (int i = 0; i < count; ++i) {
      expected -=
          read_marks(*static_cast<watcher*>(events[static_cast<std::size_t>(i)].data.ptr), mark);
    }
  }
  return clock::now();
}

}  // namespace

void etcd_watch(int port, int count, int times) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<watcher> watchers(static_cast<std::size_t>(count));
  for (watcher& one : watchers) {
    one.descriptor = connect_to(port);
    post(one.descriptor, "/v3/watch", R"({"create_request": {"key": "YmVuY2g="}})");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &one;
    epoll_ctl(epoll, EPOLL_CTL_ADD, one.descriptor, &event);
  }
  collect(epoll, count, "\"created\":true");
  const int puts = connect_to(port);
  std::vector<double> ms;
  for (int i = -5; i < times; ++i) {
    const auto begun = clock::now();
    std::string value(264, 'A');  // 198 bytes
    for (int n = i + 5, at = 0; n > 0; n /= 10)
      value[static_cast<std::size_t>(at++)] = "BCDEFGHIJK"[n % 10];
    post(puts, "/v3/kv/put", R"({"key": "YmVuY2g=", "value": ")" + value + "\"}");
    const auto last = collect(epoll, count, "\"events\"");
    if (i >= 0) ms.push_back(std::chrono::duration<double, std::milli>(last - begun).count());
    char answer[4'096];
    if (recv(puts, answer, sizeof answer, 0) <= 0) std::exit(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::sort(ms.begin(), ms.end());
  std::printf("\"took\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}, ", ms[ms.size() / 2],
              ms[ms.size() * 99 / 100], ms.back());
}

}  // namespace troupe::bench
