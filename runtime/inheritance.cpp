// SPDX-License-Identifier: Apache-2.0
#include "runtime/inheritance.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>

#include "net/uri.hpp"
#include "runtime/versions.hpp"

namespace troupe {
namespace {

std::string_view cut(std::string_view& rest, char at) {
  const auto end = std::min(rest.find(at), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

}  // namespace

std::string inheritance::text(const std::vector<listening_socket>& sockets, int lock, int answer) {
  std::string out = "answer:" + std::to_string(answer);
  if (lock >= 0) out += ";lock:" + std::to_string(lock);
  for (const listening_socket& each : sockets) {
    out += ";listen:" + std::to_string(each.descriptor) + ':';
    net::escape_uri(out, each.address, net::escape_type::component);
  }
  return out;
}

tl::expected<inheritance, diagnostic> inheritance::receive() {
  inheritance given;
  const char* value = std::getenv(inherited_variable);
  if (value == nullptr) return given;
  const std::string text = value;
  unsetenv(inherited_variable);
  auto wrong = [&](std::string_view entry) {
    return tl::unexpected(diagnostic{.reason = std::string(inherited_variable) + ": \"" +
                                               std::string(entry) + "\" is no descriptor",
                                     .hint = "only a running troupe sets it; unset it"});
  };
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view entry = cut(rest, ';');
    std::string_view words = entry;
    const std::string_view kind = cut(words, ':');
    const std::string_view number = cut(words, ':');
    int fd = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fd);
    if (error != std::errc{} || end != number.data() + number.size() || fd < 3 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return wrong(entry);
    }
    if (kind == "answer") {
      given.answer_.reset(fd);
    } else if (kind == "lock") {
      given.lock_.reset(fd);
    } else if (kind == "listen") {
      std::string address;
      net::unescape_uri(address, words, false);
      given.sockets_.push_back({std::move(address), fd});
    } else {
      return wrong(entry);
    }
  }
  return given;
}

void inheritance::answer(const std::string& text) {
  if (!answer_) return;
  std::signal(SIGPIPE, SIG_IGN);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t sent = write(answer_.get(), rest.data(), rest.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  answer_.reset();
}

void inheritance::ready() {
  answer("ready " + std::to_string(getpid()) + ' ' + std::string(troupe_version()) + '\n');
}

void inheritance::refuse(const diagnostics& problems) {
  std::string lines;
  for (const diagnostic& problem : problems) {
    if (problem.level < net::log_level::warn) lines += troupe::text(problem) + '\n';
  }
  answer(lines);
}

}  // namespace troupe
