// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_network.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace troupe::tests {
namespace {

// Holds a namespace open, and says so first: from then on others can enter it.
const std::vector<std::string> hold{"sh", "-c", "echo ready; exec sleep 3600"};

std::vector<std::string> joined(std::vector<std::string> first, const std::vector<std::string>& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

std::vector<std::string> inside(const process& holder) {
  return {"nsenter", "--preserve-credentials", "-U", "-n", "-t", std::to_string(holder.pid())};
}

std::unique_ptr<process> held(std::vector<std::string> words) {
  auto made = std::make_unique<process>(std::move(words));
  const bool is_there = made->wait_for(
      [](const std::string& out, const std::string&) { return out == "ready\n"; });
  if (!is_there) ADD_FAILURE() << "no namespace: " << made->err();
  return made;
}

std::string cable(std::size_t place) { return "v" + std::to_string(place); }
std::string bridge(std::size_t group) { return "br" + std::to_string(group); }

}  // namespace

std::string test_network::why_not() {
  const finished tried = run({"unshare", "-rn", "sh", "-ec",
                              "ip link add br0 type bridge\n"
                              "ip link add v0 type veth peer name eth0\n"
                              "ip link set v0 master br0\n"
                              "tc qdisc show dev v0\n"});
  if (tried.status == 0) return {};
  return "no network of its own for a test (unshare -rn, bridge, veth): " + tried.err;
}

test_network::test_network(std::vector<std::string> machines) {
  switch_ = held(joined({"unshare", "-rn"}, hold));
  std::string commands = "ip link set lo up\nip link add br0 type bridge\nip link set br0 up\n";
  for (std::string& name : machines) {
    // Not below the user namespace of another machine: who joins cables is over all of them.
    auto holder = held(joined(joined(inside(*switch_), {"unshare", "-n"}), hold));
    const std::size_t place = machines_.size();
    const std::string pid = std::to_string(holder->pid());
    const std::string enter = "nsenter -n -t " + pid + " ip ";
    commands += "ip link add " + cable(place) + " type veth peer name eth0 netns " + pid + '\n' +
                enter + "addr add 10.77.0." + std::to_string(place + 1) + "/24 dev eth0\n" + enter +
                "link set lo up\n" + enter + "link set eth0 up\n" + "ip link set " + cable(place) +
                " master br0 up\n";
    machines_.push_back({std::move(name), std::move(holder)});
  }
  at_switch(commands);
}

test_network::~test_network() = default;

std::size_t test_network::place(const std::string& machine) const {
  const auto found = std::ranges::find(machines_, machine, &one::name);
  if (found == machines_.end()) ADD_FAILURE() << "no machine " << machine;
  return static_cast<std::size_t>(found - machines_.begin());
}

std::string test_network::address(const std::string& machine) const {
  return "10.77.0." + std::to_string(place(machine) + 1);
}

std::vector<std::string> test_network::on(const std::string& machine,
                                          std::vector<std::string> program) const {
  return joined(inside(*machines_.at(place(machine)).holder), program);
}

void test_network::at_switch(const std::string& commands) const {
  const finished done = run(joined(inside(*switch_), {"sh", "-ec", commands}));
  if (done.status != 0) ADD_FAILURE() << "the network is not as it should be: " << done.err;
}

void test_network::split(const std::vector<std::vector<std::string>>& groups) const {
  // A switch for each group; br0 has no cable then.
  std::string commands;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    commands += "ip link set " + cable(i) + " nomaster\n";
  }
  for (std::size_t group = 1; group <= groups.size(); ++group) {
    const std::string own = bridge(group);
    commands += "ip link show " + own + " >/dev/null 2>&1 || ip link add " + own +
                " type bridge\nip link set " + own + " up\n";
    for (const std::string& machine : groups[group - 1]) {
      commands += "ip link set " + cable(place(machine)) + " master " + own + '\n';
    }
  }
  at_switch(commands);
}

void test_network::heal() const {
  std::string commands;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    commands += "ip link set " + cable(i) + " master br0 up\n";
  }
  at_switch(commands);
}

void test_network::unplug(const std::string& machine) const {
  at_switch("ip link set " + cable(place(machine)) + " down\n");
}

void test_network::plug(const std::string& machine) const {
  at_switch("ip link set " + cable(place(machine)) + " up\n");
}

void test_network::worsen(const std::string& machine) const {
  const std::string begin = "tc qdisc replace dev " + cable(place(machine)) + " root ";
  at_switch(begin + "netem delay 40ms 30ms loss 10% duplicate 5% 2>/dev/null || " + begin +
            "tbf rate 256kbit burst 4kb limit 8kb\n");
}

}  // namespace troupe::tests
