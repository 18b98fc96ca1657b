// SPDX-License-Identifier: Apache-2.0
//
// Machines with a network between them that a test can cut: a network namespace for each, joined by
// virtual cables (veth) to a switch (a bridge) in a namespace of its own. All of them belong to a
// user namespace, so that neither root nor the machine's own network is needed, and go with the
// object.
//
//   test_network net({"a", "b"});
//   process node(net.on("a", {"troupe", "node", …}));   // listens on net.address("a")
//   net.split({{"a"}, {"b"}});
//   net.heal();
//
// Source   ip-link(8), tc(8), nsenter(1).
// Thread   the test's.
// Errors   what does not work fails the test; why_not() first says what this machine does not allow.
// Called   by tests/e2e/partition_test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.hpp"

namespace troupe::tests {

class test_network {
 public:
  /// Why there can be none here: the kernel or the container forbids namespaces, or a program is
  /// missing. Empty: there can.
  [[nodiscard]] static std::string why_not();

  explicit test_network(std::vector<std::string> machines);
  ~test_network();
  test_network(const test_network&) = delete;
  test_network& operator=(const test_network&) = delete;

  [[nodiscard]] std::string address(const std::string& machine) const;
  /// The words that run a program there: it keeps files, user and process numbers of this machine.
  [[nodiscard]] std::vector<std::string> on(const std::string& machine,
                                            std::vector<std::string> program) const;

  /// Machines of one group reach each other and nobody else. One that no group has is alone.
  void split(const std::vector<std::vector<std::string>>& groups) const;
  void heal() const;
  /// Pulls the machine's cable and puts it in again.
  void unplug(const std::string& machine) const;
  void plug(const std::string& machine) const;
  /// Makes what comes to the machine late and in part lost, doubled and out of order where the
  /// kernel has netem; slow, late and lost beyond a short queue where it has not.
  void worsen(const std::string& machine) const;

 private:
  struct one {
    std::string name;
    std::unique_ptr<process> holder;  ///< The namespace lives as long as this.
  };
  [[nodiscard]] std::size_t place(const std::string& machine) const;
  /// Shell commands in the namespace of the switch.
  void at_switch(const std::string& commands) const;

  std::unique_ptr<process> switch_;
  std::vector<one> machines_;
};

}  // namespace troupe::tests
