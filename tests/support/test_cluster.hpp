// SPDX-License-Identifier: Apache-2.0
//
// A cluster as an operator has it: real `troupe node` processes on loopback or on the machines of a
// test_network, with keys, each with a data folder in a temporary one. The first node, `a`, is the
// controller. Killed at the latest when the object ends.
//
// Source   docs/cluster.md.
// Thread   the test's.
// Errors   a node that does not start fails the test, with what it wrote.
// Called   by tests/e2e.
#pragma once

#include "tests/support/endpoint.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_network.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::tests {

class test_cluster {
 public:
  struct options {
    /// Each node on the machine of its name; a's address is that machine's, port 7000. Outlives this.
    const test_network* network = nullptr;
    unsigned nodes = 3;     ///< a, b, c …
    bool has_keys = true;
    std::map<std::string, std::vector<std::string>> flags = {};  ///< Further words, by node.
    /// Whom a node joins in place of the controller, by node: addresses of relays, or `a` itself.
    std::map<std::string, std::vector<std::string>> joins = {};
  };
  test_cluster() : test_cluster(options()) {}
  explicit test_cluster(options how);

  /// The node is started by this program, which becomes it: {"sh", "-c", "…; exec \"$@\"", "sh"}.
  void launch_with(const std::string& name, std::vector<std::string> program) {
    launchers_[name] = std::move(program);
  }
  /// Starts a node, or starts it again from its data folder, and waits until its control socket answers.
  void start(const std::string& name, std::vector<std::string> more = {});
  /// @return its exit status
  int stop(const std::string& name, int signal = SIGQUIT);
  [[nodiscard]] process& of(const std::string& name) { return *nodes_.at(name); }
  [[nodiscard]] std::string data(const std::string& name) const;
  [[nodiscard]] std::string keys() const { return (folder_.path() / "keys").string(); }
  /// Where the controller is linked to.
  [[nodiscard]] std::string address() const;
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

  /// An app folder whose `/` says this.
  [[nodiscard]] std::string app(const std::string& name, const std::string& word) const;
  /// An app folder with this inside of `http {}`.
  [[nodiscard]] std::string app_with(const std::string& name, const std::string& http) const;

  /// `troupe WORDS… --node DATA --keys KEYS`, of node `by`.
  [[nodiscard]] finished ask(std::vector<std::string> words, const std::string& by = "a") const;
  /// The same with --json, parsed; its exit status must be that.
  [[nodiscard]] nlohmann::json ask_json(std::vector<std::string> words, int status = 0,
                                        const std::string& by = "a") const;
  /// What the n-th listener that the node has announced last answers; empty: nothing.
  [[nodiscard]] std::string get(const std::string& name, std::string_view path = "/") const;
  /// Its listeners' addresses as announced, the oldest first.
  [[nodiscard]] std::vector<endpoint> listeners(const std::string& name) const;

  /// As node `by` hears it: so many nodes are live, all of them at one place of the history, and one
  /// of them is the controller. Others may be gone.
  [[nodiscard]] bool is_level(std::size_t live, const std::string& by = "a") const;
  /// What `nodes` says of that node, asked of `by`; null: nothing.
  [[nodiscard]] nlohmann::json shown(const std::string& name, const std::string& by = "a") const;

  /// Asks until it is so. @return false: it never came
  static bool comes_true(const std::function<bool()>& condition);

 private:
  options how_;
  temp_dir folder_;
  free_port ports_{2};  ///< Its announcements need the one behind it, too.
  std::map<std::string, std::vector<std::string>> launchers_;
  std::map<std::string, std::unique_ptr<process>> nodes_;
};

}  // namespace troupe::tests
