// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_sink.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <utility>

#include <unistd.h>

namespace troupe {

using net::log_level;

namespace {
constexpr std::size_t longest_text = 4096;
}

log_sink::log_sink(std::vector<target> targets) : targets_(std::move(targets)) {
  for (const target& each : targets_) level_ = std::max(level_, each.level);
}

void log_sink::write(log_level level, std::string_view text) const noexcept {
  write(level, 0, text, {});
}

void log_sink::write(log_level level, std::uint64_t connection, std::string_view text,
                     std::string_view tail) const noexcept {
  if (!enabled(level)) return;
  char head[96];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::size_t size = std::strftime(head, sizeof head, "%Y/%m/%d %H:%M:%S", &local);
  size += std::snprintf(head + size, sizeof head - size, " [%s] %d#%d: ", net::name(level).data(),
                        static_cast<int>(getpid()), static_cast<int>(gettid()));
  if (connection != 0) {
    size += std::snprintf(head + size, sizeof head - size, "*%llu ",
                          static_cast<unsigned long long>(connection));
  }
  for (const target& each : targets_) {
    if (level <= each.level) {
      each.file->write({head, size}, text.substr(0, longest_text), tail.substr(0, longest_text),
                       "\n");
    }
  }
}

tl::expected<log_level, std::string> parse_log_level(std::string_view name) {
  for (int number = 1; number <= static_cast<int>(log_level::debug); ++number) {
    const auto level = static_cast<log_level>(number);
    if (name == net::name(level)) return level;
  }
  return tl::unexpected("invalid log level \"" + std::string(name) + '"');
}

tl::expected<error_log_target, std::string> parse_error_log(
    std::span<const std::string> arguments) {
  if (arguments.empty()) {
    return tl::unexpected(std::string("invalid number of arguments in \"error_log\" directive"));
  }
  error_log_target result{.path = arguments[0]};
  if (result.path.starts_with("syslog:")) {
    return tl::unexpected(
        std::string("error_log to syslog is not supported: log to stderr, which a service manager "
                    "passes on, or to a file"));
  }
  if (result.path.starts_with("memory:")) {
    return tl::unexpected(std::string("error_log to memory is not supported: log to a file"));
  }
  bool given = false;
  for (std::string_view name : arguments.subspan(1)) {
    // debug_http and its like select parts of nginx's debug log; there is one level here.
    static constexpr std::string_view parts[] = {"debug_core",  "debug_alloc", "debug_mutex",
                                                 "debug_event", "debug_http",  "debug_mail",
                                                 "debug_stream"};
    if (std::ranges::find(parts, name) != std::end(parts)) {
      if (given && result.level != log_level::debug) {
        return tl::unexpected("invalid log level \"" + std::string(name) + '"');
      }
      result.level = log_level::debug;
      given = true;
      continue;
    }
    auto level = parse_log_level(name);
    if (!level) return tl::unexpected(std::move(level.error()));
    if (given) return tl::unexpected("duplicate log level \"" + std::string(name) + '"');
    result.level = *level;
    given = true;
  }
  return result;
}

}  // namespace troupe
