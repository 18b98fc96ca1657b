// SPDX-License-Identifier: Apache-2.0
//
// What ./dev bench push runs: the real protocol on real sockets with keys, nodes that load nothing.
// Each part prints one line of JSON, times in milliseconds.
#include "tests/bench/push_nodes/etcd_watch.hpp"
#include "tests/bench/push_nodes/processes.hpp"

#include "cluster/manifest.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

namespace troupe::bench {
namespace {

using namespace std::chrono_literals;

double ms_since(instant from) {
  return std::chrono::duration<double, std::milli>(clock_now() - from).count();
}

void print_times(const std::string& name, std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double share) {
    return ms.empty()
               ? 0
               : ms[std::min(ms.size() - 1,
                             static_cast<std::size_t>(share * static_cast<double>(ms.size())))];
  };
  std::printf("\"%s\": {\"count\": %zu, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}, ",
              name.c_str(), ms.size(), at(0.5), at(0.99), ms.empty() ? 0 : ms.back());
}
void print_number(const char* name, double value) {
  std::printf("\"%s\": %.4f, ", name, value);
}

config_order value_of(const std::string& key, std::size_t bytes, int turn) {
  std::string value = std::to_string(turn);
  value.resize(bytes, 'x');
  config_order what;
  what.key = key;
  what.value = value;
  return what;
}

/// A cluster that is up: the controller, relays, nodes in one process, who orders.
class running {
 public:
  running(world& of, std::size_t nodes)
      : of_(of), seen(shared_memory::make()), controller([&] { run_controller(of_, seen); }) {
    while (seen.ports[0] == 0) std::this_thread::sleep_for(1ms);
    for (std::size_t i = 0; i < of.relays.size(); ++i) {
      relays.emplace_back([&, i] { run_relay(of_, seen, i); });
    }
    for (std::size_t i = 0; i < of.relays.size(); ++i) {
      while (seen.ports[i + 1] == 0) std::this_thread::sleep_for(1ms);
    }
    bytes_before = controller.resident_bytes();
    begin_nodes(0, nodes);
    pusher = std::make_unique<orderer>(of, seen);
    wait_for(static_cast<int>(nodes));
    std::this_thread::sleep_for(2s);  // two beacons: relays have told of all theirs
  }
  void begin_nodes(std::size_t from, std::size_t to) {
    nodes.emplace_back([&, from, to] { run_nodes(of_, seen, from, to); });
  }
  void wait_for(int served) {
    pusher->wait_until([&] { return seen.served.count >= served; });
  }
  /// One value; @return until the last acknowledgement.
  double config(int turn, std::size_t bytes = 200) {
    seen.announced.count = seen.applied.count = 0;
    begun = clock_now();
    const progress done = pusher->order(of_.order_of(value_of("bench.key", bytes, turn)));
    const double took = ms_since(begun);
    if (done.state != "applied") {
      std::fprintf(stderr, "push_nodes: a value was %s: %s %s\n", done.state.c_str(),
                   done.error.c_str(), done.reason.c_str());
      ++failed;
    }
    acknowledged = 0;
    for (const node_progress& one : done.nodes) {
      if (one.state == node_outcome::active) ++acknowledged;
      if (one.state == node_outcome::behind) ++left_behind;
    }
    return took;
  }
  [[nodiscard]] double until(const tally& what) const {
    return static_cast<double>(what.last - ns_of(begun)) * 1e-6;
  }

 private:
  world& of_;

 public:
  shared_memory& seen;
  child controller;
  std::vector<child> relays, nodes;
  std::unique_ptr<orderer> pusher;
  double bytes_before = 0;
  instant begun;
  std::size_t acknowledged = 0;
  std::size_t left_behind = 0;  ///< Nodes that values did not wait for, in all.
  int failed = 0;
};

void config(world& of, int count, bool arrivals_first) {
  const std::size_t n = of.nodes.size();
  running all(of, n);
  all.seen.arrivals_first = arrivals_first;
  for (int i = 0; i < 10; ++i) all.config(i);
  all.left_behind = 0;
  std::vector<double> took, announced;
  const double cpu = all.controller.cpu_seconds(), nodes_cpu = all.nodes[0].cpu_seconds();
  std::size_t fewest = n;
  const instant begun = clock_now();
  for (int i = 0; i < count; ++i) {
    took.push_back(all.config(i));
    announced.push_back(all.until(all.seen.announced));
    fewest = std::min(fewest, all.acknowledged);
    std::this_thread::sleep_for(2ms);
  }
  const double busy = all.controller.cpu_seconds() - cpu, seconds = ms_since(begun) / 1e3;
  const double busy_nodes = all.nodes[0].cpu_seconds() - nodes_cpu;
  // Beacons and their answers come without changes too.
  const double idle_from = all.controller.cpu_seconds();
  const double idle_nodes_from = all.nodes[0].cpu_seconds();
  std::this_thread::sleep_for(3s);
  const double idle = (all.controller.cpu_seconds() - idle_from) / 3 * seconds;
  const double idle_nodes = (all.nodes[0].cpu_seconds() - idle_nodes_from) / 3 * seconds;
  const double changes = static_cast<double>(count) * static_cast<double>(n);
  print_times("took", took);
  print_times("announced", announced);
  print_number("fewest", static_cast<double>(fewest));
  print_number("left_behind", static_cast<double>(all.left_behind));
  print_number("failed", all.failed);
  print_number("controller_us", (busy - idle) * 1e6 / changes);
  print_number("node_us", (busy_nodes - idle_nodes) * 1e6 / changes);
  print_number("controller_kb",
               (all.controller.resident_bytes() - all.bytes_before) / 1e3 / static_cast<double>(n));
}

/// A release of 16 files; `is_text`: as well compressed as Lua is, else not at all.
std::vector<std::string> release_contents(std::mt19937& random, bool is_text, manifest& files) {
  static const char* const words[] = {"local ",   "function ", "return ",  "end\n",
                                      "if ",      "then\n",    "ngx.say(", ")\n",
                                      "request.", "= ",        "self.",    "nil "};
  std::vector<std::string> contents;
  for (int i = 0; i < 16; ++i) {
    std::string text;
    while (text.size() < 4'096) {
      if (!is_text)
        text += static_cast<char>(random());
      else
        text += random() % 3 != 0 ? words[random() % 12] : std::to_string(random() % 100'000);
    }
    text.resize(4'096);
    files.files.push_back(
        {"lib/file_" + std::to_string(i) + ".lua", false, text.size(), digest::of(text)});
    contents.push_back(std::move(text));
  }
  files.sort();
  return contents;
}

void push(world& of, int count, bool is_text) {
  running all(of, of.nodes.size());
  std::mt19937 random(7);
  std::vector<double> took;
  std::size_t fewest = of.nodes.size();
  for (int i = -1; i < count; ++i) {
    manifest files;
    auto contents = release_contents(random, is_text, files);
    const std::string bytes = files.encode();
    contents.push_back(bytes);
    const instant begun = clock_now();
    all.pusher->upload(contents);
    release_order what;
    what.manifest = digest::of(bytes);
    what.manifest_bytes = bytes.size();
    const progress done = all.pusher->order(of.order_of(what));
    if (i >= 0) took.push_back(ms_since(begun));
    if (done.state != "active") {
      ++all.failed;
      std::fprintf(stderr, "push_nodes: a push was %s: %s %s\n", done.state.c_str(),
                   done.error.c_str(), done.reason.c_str());
    }
    fewest = std::min(fewest, done.nodes.size());
    std::this_thread::sleep_for(5ms);
  }
  print_times("took", took);
  print_number("fewest", static_cast<double>(fewest));
  print_number("failed", all.failed);
}

/// The last of the nodes belongs to a process that is stopped.
void hang(world& of, int count) {
  const std::size_t n = of.nodes.size() - 1;
  running all(of, n);
  all.begin_nodes(n, n + 1);
  all.wait_for(static_cast<int>(n + 1));
  std::this_thread::sleep_for(2s);
  const auto deliver = [&](bool is_stopped) {
    const int expected = static_cast<int>(is_stopped ? n : n + 1);
    std::vector<double> delivered;
    for (int i = 0; i < count; ++i) {
      all.seen.applied.count = 0;
      all.begun = clock_now();
      all.pusher->send(of.order_of(value_of("bench.key", 200, i)));
      all.pusher->wait_until([&] { return all.seen.applied.count >= expected; });
      delivered.push_back(all.until(all.seen.applied));
      std::this_thread::sleep_for(10ms);
    }
    return delivered;
  };
  std::vector<double> quiet;
  for (int i = 0; i < count; ++i) quiet.push_back(all.config(i));
  print_times("all_well", deliver(false));
  print_times("config_all_well", quiet);
  print_number("left_behind", static_cast<double>(all.left_behind));
  all.nodes[1].freeze();
  print_times("one_hangs", deliver(true));
  std::vector<double> first;
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(300ms);  // or it was not away but late
    all.nodes[1].thaw();
    // Until it has taken all and is waited for again.
    std::this_thread::sleep_for(1500ms);
    for (int j = 0; j < 10; ++j) all.config(j);
    all.nodes[1].freeze();
    first.push_back(all.config(0));
  }
  print_times("config_while_live", first);
  std::this_thread::sleep_for(4s);
  std::vector<double> later;
  for (int i = 0; i < count; ++i) later.push_back(all.config(i));
  print_times("config_one_hangs", later);
  all.nodes[1].thaw();
}

void hostile(world& of, int count) {
  running all(of, of.nodes.size());
  std::vector<double> before, during;
  for (int i = 0; i < count; ++i) {
    before.push_back(all.config(i));
    std::this_thread::sleep_for(10ms);
  }
  const child enemy([&] { run_hostile(of, all.seen, 1'000); });
  std::this_thread::sleep_for(1s);
  const auto made = all.seen.attempts.load();
  const double cpu = all.controller.cpu_seconds();
  const instant begun = clock_now();
  for (int i = 0; i < count; ++i) {
    during.push_back(all.config(i));
    std::this_thread::sleep_for(10ms);
  }
  const double seconds = ms_since(begun) / 1e3;
  print_times("before", before);
  print_times("during", during);
  print_number("attempts", static_cast<double>(all.seen.attempts));
  print_number("attempts_a_second", static_cast<double>(all.seen.attempts - made) / seconds);
  print_number("controller_cores", (all.controller.cpu_seconds() - cpu) / seconds);
}

void join(world& of) {
  running all(of, 0);
  all.seen.all_at_once = true;
  all.begin_nodes(0, of.nodes.size());
  all.wait_for(static_cast<int>(of.nodes.size()));
  print_number("took", static_cast<double>(all.seen.served.last - all.seen.begun) * 1e-6);
}

/// Nodes that know the members, and the changes that came since not.
void behind(world& of, int changes) {
  std::vector<signed_order> orders;
  for (int i = 0; i < changes; ++i) {
    orders.push_back(of.order_of(value_of("bench.key" + std::to_string(i % 500), 200, i)));
  }
  of.append(std::move(orders));
  for (int turn = 0; turn < 2; ++turn) {
    running all(of, 0);
    all.begin_nodes(static_cast<std::size_t>(turn), static_cast<std::size_t>(turn) + 1);
    all.wait_for(1);
    if (turn == 1) {
      print_number("took", static_cast<double>(all.seen.served.last - all.seen.begun) * 1e-6);
    }
  }
}

void verify(const world& of) {
  const signed_order what = of.order_of(value_of("bench.key", 200, 1));
  const instant begun = clock_now();
  constexpr int times = 5'000;
  for (int i = 0; i < times; ++i) {
    if (!what.is_genuine()) std::exit(1);
  }
  print_number("verify_us", ms_since(begun) * 1e3 / times);
}

}  // namespace
}  // namespace troupe::bench

/// push_nodes PART FOLDER NODES RELAYS COUNT [text | arrivals-first | PORT]
int main(int count, char** words) {
  using namespace troupe::bench;
  if (count < 6) {
    std::fputs("push_nodes PART FOLDER NODES RELAYS COUNT [WORD]; see ./dev bench push\n", stderr);
    return 2;
  }
  const std::string part = words[1], word = count > 6 ? words[6] : "";
  const int nodes = std::atoi(words[3]), relays = std::atoi(words[4]), times = std::atoi(words[5]);
  std::printf("{");
  if (part == "etcd") {
    etcd_watch(std::atoi(word.c_str()), nodes, times);
  } else {
    world of(words[2], nodes, relays);
    if (part == "config")
      config(of, times, word == "arrivals-first");
    else if (part == "push")
      push(of, times, word == "text");
    else if (part == "hang")
      hang(of, times);
    else if (part == "hostile")
      hostile(of, times);
    else if (part == "join")
      join(of);
    else if (part == "behind")
      behind(of, times);
    else if (part == "verify")
      verify(of);
    else
      return 2;
  }
  std::printf("\"part\": \"%s\"}\n", part.c_str());
  return 0;
}
