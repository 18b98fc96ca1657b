// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/local_cluster.hpp"

#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/listener_url.hpp"
#include "runtime/signals.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

namespace troupe {
namespace {

namespace fs = std::filesystem;
using json = node_call::json;
using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{30};

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

/// The processes and the folder; their end is its end.
class company {
 public:
  explicit company(std::string folder) : folder_(std::move(folder)) {}
  ~company() {
    end();
    std::error_code error;
    fs::remove_all(folder_, error);
  }
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
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    // Ctrl-C is for this process, which tells the others.
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = 0;
    const int error =
        posix_spawn(&pid, "/proc/self/exe", &files, &attributes, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) pids_.push_back(pid);
    return error == 0;
  }

  // Until its control socket answers. False: it has ended, or takes too long.
  bool wait_for(const std::string& name) {
    const auto most = clock::now() + patience;
    while (clock::now() < most) {
      auto client = admin_client::connect(data_of(name), most);
      if (client && client->ask("GET", "/v1/cluster")) return true;
      if (waitpid(pids_.back(), nullptr, WNOHANG) == pids_.back()) {
        pids_.pop_back();
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  void end() {
    for (const pid_t pid : pids_) kill(pid, SIGTERM);
    for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
    pids_.clear();
  }

  [[nodiscard]] std::string data_of(const std::string& name) const { return folder_ + '/' + name; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  std::vector<pid_t> pids_;
};

std::string name_of(unsigned number) {
  std::string name;
  do name.insert(name.begin(), static_cast<char>('a' + number % 26));
  while ((number /= 26) > 0);
  return name;
}

}  // namespace

int local_cluster(const shared_flags& flags, unsigned nodes, const std::string& path) {
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
  const std::uint16_t port = two_free_ports();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  for (unsigned i = 0; i < nodes; ++i) {
    const std::string name = name_of(i);
    std::vector<std::string> words = i == 0
                                         ? std::vector<std::string>{"--controller", "--listen", address}
                                         : std::vector<std::string>{"--join", address};
    if (flags.shards != 0) words.insert(words.end(), {"--shards", std::to_string(flags.shards)});
    if (!all.start(name, words) || !all.wait_for(name)) {
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
  if (flags.json)
    say(started.dump());
  else
    say("Ctrl-C ends it; `troupe nodes --node " + to_first.node + "` asks it");
  for (;;) {
    const auto event = queue->next();
    if (event.number == SIGINT || event.number == SIGTERM || event.number == SIGQUIT) break;
  }
  return exit_done;
}

}  // namespace troupe
