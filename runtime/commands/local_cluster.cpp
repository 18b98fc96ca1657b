// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/local_cluster.hpp"

#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/listener_url.hpp"
#include "runtime/signals.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace troupe {
namespace {

namespace fs = std::filesystem;
using json = node_call::json;
using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{30};
constexpr std::chrono::seconds end_within{2};

// A port that is free now, and the one behind it.
std::uint16_t two_free_ports() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    const net::unique_fd first(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const net::unique_fd second(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto* raw = reinterpret_cast<sockaddr*>(&where);
    if (bind(first.get(), raw, size) != 0 || getsockname(first.get(), raw, &size) != 0) continue;
    const std::uint16_t port = ntohs(where.sin_port);
    if (port == 65'535) continue;
    where.sin_port = htons(static_cast<std::uint16_t>(port + 1));
    if (bind(second.get(), raw, size) == 0) return port;
  }
  return 0;
}

std::vector<pid_t> children() {
  std::vector<pid_t> all;
  std::error_code error;
  for (fs::directory_iterator thread("/proc/self/task", error), end; !error && thread != end;
       thread.increment(error)) {
    std::ifstream list(thread->path() / "children");
    for (pid_t pid = 0; list >> pid;) all.push_back(pid);
  }
  return all;
}

/// Whether a process, of those that this one has inherited too, serves that folder.
bool serves(pid_t pid, const std::string& folder) {
  std::string words;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/cmdline"), words);
  return words.find(folder) != std::string::npos;
}

/// The processes and the folder; their end is its end. Its functions may be called from two threads.
class company {
 public:
  // A process that takes over from a node (`troupe upgrade`) becomes a child when that ends.
  explicit company(std::string folder) : folder_(std::move(folder)) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  ~company() { end(); }
  company(const company&) = delete;
  company& operator=(const company&) = delete;

  bool start(const std::string& name, std::vector<std::string> words) {
    words.insert(words.begin(), {"/proc/self/exe", "node", "--name", name, "--data", data_of(name),
                                 // No keys: all of it is on loopback.
                                 "--keys", folder_ + "/keys", "--port", "0"});
    std::vector<char*> pointers;
    for (std::string& each : words) pointers.push_back(each.data());
    pointers.push_back(nullptr);
    const std::string log = folder_ + '/' + name + ".log";
    const std::lock_guard lock(mutex_);
    if (has_ended_) return false;
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
      // Ctrl-C is for the parent, which tells the others; if it is killed, they go with it.
      setpgid(0, 0);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      dup2(out, STDOUT_FILENO);
      dup2(out, STDERR_FILENO);
      execv("/proc/self/exe", pointers.data());
      _exit(127);
    }
    if (pid > 0) nodes_.insert(started_ = pid);
    return pid > 0;
  }

  // Until its control socket answers. False: it has ended, or takes too long.
  bool wait_for(const std::string& name) {
    const auto most = clock::now() + patience;
    while (clock::now() < most) {
      auto client = admin_client::connect(data_of(name), most);
      if (client && client->ask("GET", "/v1/cluster")) return true;
      {
        const std::lock_guard lock(mutex_);
        if (has_ended_) return false;
        if (waitpid(started_, nullptr, WNOHANG) == started_) {
          nodes_.erase(started_);
          return false;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  void end() {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    // One that loads an app does not hear it before that is done, and nobody needs its data any more.
    const auto most = clock::now() + end_within;
    std::set<pid_t> told;
    for (;;) {
      for (pid_t ended = 0; (ended = waitpid(-1, nullptr, WNOHANG)) > 0;) {
        nodes_.erase(ended);
        told.erase(ended);
      }
      std::set<pid_t> left = nodes_;
      for (const pid_t pid : children()) {
        if (serves(pid, folder_)) left.insert(pid);
      }
      if (left.empty()) break;
      for (const pid_t pid : left) {
        if (told.insert(pid).second) kill(pid, SIGTERM);
        if (clock::now() > most) kill(pid, SIGKILL);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::error_code error;
    fs::remove_all(folder_, error);
  }

  [[nodiscard]] bool has_ended() {
    const std::lock_guard lock(mutex_);
    return has_ended_;
  }
  [[nodiscard]] std::string data_of(const std::string& name) const { return folder_ + '/' + name; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  const std::string folder_;
  std::mutex mutex_;  ///< Guards what follows.
  pid_t started_ = 0;      ///< The last one.
  std::set<pid_t> nodes_;  ///< Started here, and not ended.
  bool has_ended_ = false;
};

/// Ends all at a signal, at any time: a start and a push may take long.
class ending {
 public:
  ending(signals& queue, company& all)
      : queue_(queue), thread_([this, &all] {
          for (;;) {
            const auto event = queue_.next();
            if (event.number == 0) return;
            if (event.number != SIGINT && event.number != SIGTERM && event.number != SIGQUIT) continue;
            all.end();
            _exit(is_up_ ? exit_done : 128 + event.number);
          }
        }) {}
  ~ending() {
    if (!thread_.joinable()) return;
    queue_.wake();
    thread_.join();
  }
  /// From now on a signal is what is waited for.
  void is_up() { is_up_ = true; }
  void wait() { thread_.join(); }

 private:
  signals& queue_;
  std::atomic<bool> is_up_ = false;
  std::thread thread_;
};

std::string name_of(unsigned number) {
  std::string name;
  do name.insert(name.begin(), static_cast<char>('a' + number % 26));
  while ((number /= 26) > 0);
  return name;
}

}  // namespace

int local_cluster(const shared_flags& flags, unsigned nodes, const std::string& path) {
  if (flags.port) {
    return wrong_usage(flags.json, {.reason = "--port is not for `troupe cluster up`",
                                    .hint = "its nodes take free ports, and it prints them"});
  }
  std::string pattern = (fs::temp_directory_path() / "troupe-cluster-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    complain(diagnostic{.reason = "no temporary folder can be made: " + pattern});
    return exit_refused;
  }
  auto queue = signals::install();
  if (!queue) {
    complain(queue.error());
    return exit_refused;
  }
  company all(pattern);
  ending at_signal(*queue, all);
  const std::uint16_t port = two_free_ports();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  for (unsigned i = 0; i < nodes; ++i) {
    const std::string name = name_of(i);
    std::vector<std::string> words = i == 0
                                         ? std::vector<std::string>{"--controller", "--listen", address}
                                         : std::vector<std::string>{"--join", address};
    if (flags.shards != 0) words.insert(words.end(), {"--shards", std::to_string(flags.shards)});
    if (!all.start(name, words) || !all.wait_for(name)) {
      if (all.has_ended()) return exit_refused;  // Who ended it says so.
      std::string log;
      if (std::FILE* file = std::fopen((all.folder() + '/' + name + ".log").c_str(), "r")) {
        char bytes[4096];
        log.assign(bytes, std::fread(bytes, 1, sizeof bytes, file));
        std::fclose(file);
      }
      complain(diagnostic{.reason = "node " + name + " does not start: " + log});
      return exit_refused;
    }
  }
  shared_flags to_first = flags;
  to_first.node = all.data_of("a");
  to_first.says_which = true;
  // All of them are to be waited for.
  const auto most = clock::now() + patience;
  for (;;) {
    auto node = node_call::to(to_first);
    if (!node) return node.error();
    const auto list = node->ask("GET", "/v1/nodes");
    if (list && list->size() >= nodes) break;
    if (!list || clock::now() > most) return list ? exit_no_answer : list.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::vector<std::string> pushed{path, "--node", to_first.node, "--keys", all.folder() + "/keys"};
  if (flags.json) pushed.emplace_back("--json");
  if (const int status = push_command(pushed); status != exit_done) return status;

  json started = json::array();
  for (unsigned i = 0; i < nodes; ++i) {
    auto client = admin_client::connect(all.data_of(name_of(i)), most);
    const auto status = client ? client->ask("GET", "/v1/status")
                               : tl::expected<admin_client::reply, diagnostic>(
                                     tl::unexpected(client.error()));
    if (!status) continue;
    const json body = json::parse(status->body, nullptr, false);
    if (!body.is_object()) continue;
    for (const json& each : body["listeners"]) {
      const std::string url = url_of({each["address"].get<std::string>(), each["protocol"].get<std::string>()});
      started.push_back({{"name", name_of(i)}, {"url", url}, {"data", all.data_of(name_of(i))}});
      if (!flags.json) say("node " + name_of(i) + "  " + url + "  " + all.data_of(name_of(i)));
    }
  }
  at_signal.is_up();
  if (flags.json)
    say(started.dump());
  else
    say("Ctrl-C ends it; `troupe nodes --node " + to_first.node + "` asks it");
  at_signal.wait();
  return exit_done;
}

}  // namespace troupe
