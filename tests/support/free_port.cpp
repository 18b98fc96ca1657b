// SPDX-License-Identifier: Apache-2.0
#include "tests/support/free_port.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace troupe::tests {
namespace {

constexpr int first = 20000;
constexpr int count = 12000;

bool nobody_listens(int port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // past connections do not matter
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return free;
}

/// The lock, or -1: another test has it, or somebody listens.
int reserve(const std::string& folder, int port) {
  const std::string file = folder + "/" + std::to_string(port);
  const int lock = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock < 0) return -1;
  if (::flock(lock, LOCK_EX | LOCK_NB) == 0 && nobody_listens(port)) return lock;
  ::close(lock);
  return -1;
}

void give_back(std::vector<int>& locks) {
  for (const int lock : locks) ::close(lock);
  locks.clear();
}

}  // namespace

free_port::free_port(unsigned in_a_row) {
  const std::string folder = "/tmp/troupe-test-ports-" + std::to_string(::getuid());
  ::mkdir(folder.c_str(), 0700);
  const int start = static_cast<int>(::getpid() * 37L % count);  // neighbours begin apart
  for (int i = 0; i < count; ++i) {
    const int port = first + (start + i) % count;
    const int lock = reserve(folder, port);
    // The one after the last is the first: no row goes on there.
    if (lock < 0 || port == first) give_back(locks_);
    if (lock < 0) continue;
    locks_.push_back(lock);
    if (locks_.size() < in_a_row) continue;
    number_ = static_cast<std::uint16_t>(port + 1 - static_cast<int>(in_a_row));
    return;
  }
  give_back(locks_);
  ADD_FAILURE() << "no " << in_a_row << " free ports in a row from " << first << " to "
                << first + count - 1;
}

free_port::~free_port() {
  give_back(locks_);
}

free_port::free_port(free_port&& other) noexcept
    : number_(std::exchange(other.number_, 0)), locks_(std::exchange(other.locks_, {})) {}

}  // namespace troupe::tests
