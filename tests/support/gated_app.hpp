// SPDX-License-Identifier: Apache-2.0
//
// An app that nodes begin to load, and go on with when the test opens a gate: so a fault comes
// between `release` and `activate` for certain, not by luck. And a push of it in a process of its
// own.
//
// Thread   the test's.
// Called   by tests/e2e.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {

class gated_app {
 public:
  /// `/` says the word.
  /// @param on  the nodes that stop at the gate; none: all of them.
  gated_app(const test_cluster& cluster, const std::string& word,
            const std::vector<std::string>& on = {})
      : base_((cluster.folder() / word).string()) {
    std::string names;
    for (const std::string& each : on) names += each + "=true,";
    path_ =
        cluster.app_with(word,
                         "lua_init_timeout 60s;\n"
                         "init_by_lua_block {\n"
                         "local own = troupe.cluster.self().name\n"
                         "io.open('" +
                             base_ +
                             ".loading.' .. own, 'w'):close()\n"
                             "while " +
                             (on.empty() ? "true" : "({" + names + "})[own]") +
                             " do\n"
                             "local gate = io.open('" +
                             base_ +
                             ".open')\n"
                             "if gate then gate:close() break end ngx.sleep(0.02) end }\n"
                             "server { listen 8080; location / { content_by_lua_block { ngx.say('" +
                             word + "') } } }");
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Waits until the node has begun to load it: its `release` is in the history.
  [[nodiscard]] bool is_loading(const std::string& node) const {
    return test_cluster::comes_true(
        [&] { return std::filesystem::exists(base_ + ".loading." + node); });
  }
  void open() const { std::ofstream(base_ + ".open") << '\n'; }

 private:
  std::string base_;
  std::string path_;
};

/// The words of `troupe push FOLDER --json` by that node's control socket, for a process.
inline std::vector<std::string> push_words(const test_cluster& cluster, const std::string& folder,
                                           const std::string& by,
                                           const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{binary_under_test(), "push",   folder,         "--node",
                                 cluster.data(by),    "--keys", cluster.keys(), "--json"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace troupe::tests
