// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_node.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <charconv>
#include <thread>

namespace troupe::tests {
namespace {

constexpr std::string_view announced = "listening on ";

// The listeners that stdout names, in their order.
std::vector<endpoint> listeners(const std::string& out) {
  std::vector<endpoint> found;
  for (std::size_t at = out.find(announced); at != std::string::npos;
       at = out.find(announced, at + 1)) {
    const auto end = out.find('\n', at);
    if (end == std::string::npos) break;
    const auto begin = at + announced.size();
    found.push_back(endpoint::of(std::string_view(out).substr(begin, end - begin)));
  }
  return found;
}

// "2026/01/02 03:04:05 [error] 7#1: *42 text": where "[" stands, or npos.
std::size_t entry_begins(std::string_view line) {
  constexpr std::string_view shape = "dddd/dd/dd dd:dd:dd [";
  if (line.size() < shape.size()) return std::string_view::npos;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool digit = line[i] >= '0' && line[i] <= '9';
    if (shape[i] == 'd' ? !digit : line[i] != shape[i]) return std::string_view::npos;
  }
  return shape.size() - 1;
}

// nginx writes its first words on stderr as "nginx: [emerg] text".
std::size_t bare_entry_begins(std::string_view line) {
  const auto at = line.find(": [");
  return at < 12 ? at + 2 : std::string_view::npos;
}

std::optional<level> level_of(std::string_view entry) {
  for (int n = static_cast<int>(level::emerg); n <= static_cast<int>(level::debug); ++n)
    if (entry.starts_with("[" + std::string(net::name(static_cast<level>(n))) + "]"))
      return static_cast<level>(n);
  return std::nullopt;
}

// "[error] 7#1: *42 text" without the process and the thread.
std::string without_process(std::string_view entry) {
  const auto bracket = entry.find("] ");
  const auto colon = entry.find(": ", bracket);
  if (bracket == std::string_view::npos || colon == std::string_view::npos)
    return std::string(entry);
  const auto number = entry.substr(bracket + 2, colon - bracket - 2);
  if (number.find_first_not_of("0123456789#") != std::string_view::npos) return std::string(entry);
  return std::string(entry.substr(0, bracket + 2)) + std::string(entry.substr(colon + 2));
}

}  // namespace

std::string binary_under_test() {
  const char* other = ::getenv("TROUPE_TEST_BINARY");
  return other != nullptr ? other : TROUPE_TEST_BINARY;
}

std::filesystem::path source_folder() {
  return TROUPE_SOURCE_FOLDER;
}

finished run_troupe(std::vector<std::string> words, const process_options& options) {
  words.insert(words.begin(), binary_under_test());
  return run(std::move(words), options);
}

test_node::test_node(test_node_options options) : options_(std::move(options)) {
  if (options_.binary.empty()) options_.binary = binary_under_test();
  write_app();
  if (options_.as_nginx)
    start_as_nginx();
  else
    start_in_foreground();
  if (status_.has_value() == options_.starts)
    ADD_FAILURE() << (options_.starts ? "the node did not start:\n" : "the node started:\n")
                  << log();
}

test_node::~test_node() {
  if (options_.as_nginx && !status_ && pid_ > 0) {  // otherwise process_ sees to it
    signal(SIGKILL);
    wait_for_exit(pid_, patience);
  }
}

std::string test_node::with_ports(std::string text) {
  for (auto at = text.find("@port"); at != std::string::npos; at = text.find("@port", at)) {
    const auto end = text.find('@', at + 1);
    if (end == std::string::npos) break;
    const std::string number = std::to_string(ports_[text.substr(at, end - at)].number());
    text.replace(at, end + 1 - at, number);
  }
  return text;
}

void test_node::write_app() {
  std::error_code failed;
  // For those apps that change their user.
  std::filesystem::permissions(folder(), std::filesystem::perms(0755), failed);
  std::filesystem::create_directories(folder() / "logs", failed);
  if (!options_.app.empty()) {
    std::filesystem::copy(options_.app, folder(), std::filesystem::copy_options::recursive, failed);
    if (failed) ADD_FAILURE() << "cannot copy " << options_.app << ": " << failed.message();
  } else {
    edit_conf(options_.conf);
  }
  for (const auto& [name, bytes] : options_.files) edit(name, bytes);
}

void test_node::edit(std::string_view name, std::string_view bytes) {
  folder_.write(name, with_ports(std::string(bytes)));
}

void test_node::edit_conf(std::string_view http) {
  std::string conf = "worker_processes " + std::to_string(options_.shards) + ";\n";
  conf += "error_log logs/error.log " + options_.log_level + ";\n";
  if (options_.as_nginx) {
    conf += "daemon on;\nmaster_process off;\npid logs/nginx.pid;\n";
    if (::getuid() == 0) conf += "user root;\n";
  }
  conf += options_.main + "\nevents {" + options_.events + "}\nhttp {\n" + std::string(http) + "\n}\n";
  edit("nginx.conf", conf);
}

void test_node::start_in_foreground() {
  std::vector<std::string> command{options_.binary.string(),
                                   "run",
                                   folder().string(),
                                   "--data",
                                   data().string(),
                                   "--port",
                                   "0"};
  if (!options_.app.empty())
    command.insert(command.end(), {"--shards", std::to_string(options_.shards)});
  command.insert(command.end(), options_.flags.begin(), options_.flags.end());
  process_ = std::make_unique<process>(std::move(command),
                                       process_options{folder(), options_.environment});
  pid_ = process_->pid();
  const bool listens = process_->wait_for(
      [](const std::string& out, const std::string&) { return !listeners(out).empty(); });
  if (!listens) status_ = process_->wait();
}

void test_node::start_as_nginx() {
  std::vector<std::string> command{
      options_.binary.string(), "-e", (folder() / "logs/error.log").string(), "-p",
      folder().string() + "/",  "-c", (folder() / "nginx.conf").string()};
  command.insert(command.end(), options_.flags.begin(), options_.flags.end());
  process_ = std::make_unique<process>(std::move(command),
                                       process_options{folder(), options_.environment});
  // It returns to the shell once the node listens, with the pid file there or about to be.
  const int status = process_->wait();
  if (status != 0) {
    status_ = status;
    return;
  }
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    const std::string text = folder_.read("logs/nginx.pid");
    if (text.ends_with('\n')) {
      std::from_chars(text.data(), text.data() + text.size(), pid_);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ADD_FAILURE() << "no pid file";
}

endpoint test_node::listener(std::size_t n) const {
  if (options_.as_nginx) {
    const auto port = ports_.find(n == 0 ? "@port" : "@port" + std::to_string(n + 1));
    if (port != ports_.end()) return {.port = port->second.number()};
    ADD_FAILURE() << "no listener " << n;
    return {};
  }
  std::vector<endpoint> found;
  process_->wait_for([&](const std::string& out, const std::string&) {
    found = listeners(out);
    return found.size() > n;
  });
  if (found.size() > n) return found[n];
  ADD_FAILURE() << "no listener " << n << " in:\n" << out();
  return {};
}

bool test_node::is_running() {
  if (!status_) status_ = wait_for_exit(pid_, std::chrono::milliseconds(0));
  return !status_;
}

void test_node::signal(int number) const {
  if (pid_ > 0 && !status_) ::kill(pid_, number);
}

int test_node::stop(int number) {
  signal(number);
  return wait();
}

int test_node::wait() {
  if (status_) return *status_;
  if (!options_.as_nginx) {
    status_ = process_->wait();
    // What it wrote last may still be in the pipe.
    process_->wait_for([](const std::string&, const std::string&) { return false; },
                       std::chrono::seconds(2));
    return *status_;
  }
  status_ = wait_for_exit(pid_, patience);
  if (!status_) {
    ADD_FAILURE() << "the node did not leave";
    signal(SIGKILL);
    status_ = wait_for_exit(pid_, patience).value_or(128 + SIGKILL);
  }
  return *status_;
}

std::string test_node::out() const {
  return process_->out();
}

std::string test_node::log() const {
  return folder_.read("logs/error.log") + process_->err();
}

std::vector<std::string> test_node::log_lines(level least) const {
  std::vector<std::string> entries;
  bool wanted = false;
  const std::string text = log();
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    auto begin = entry_begins(line);
    if (begin == std::string_view::npos) begin = bare_entry_begins(line);
    if (begin != std::string_view::npos) {
      const auto found = level_of(line.substr(begin));
      wanted = found && *found <= least;
      if (wanted) entries.push_back(without_process(line.substr(begin)));
    } else if (wanted) {
      entries.back().append("\n").append(line);
    } else if (line.find("Sanitizer: ") != std::string_view::npos ||
               line.find("runtime error: ") != std::string_view::npos) {
      entries.emplace_back(line);  // a sanitizer's word
    }
  }
  return entries;
}

bool test_node::logs(std::string_view text) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (log().find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace troupe::tests
