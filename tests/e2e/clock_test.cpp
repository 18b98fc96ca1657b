// SPDX-License-Identifier: Apache-2.0
//
// Wall clocks that jump below nodes of a cluster, by Debian's libfaketime: as when somebody sets
// the clock, or a machine wakes up. The clock that does not jump (CLOCK_MONOTONIC) is the
// machine's, as then.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/test_cluster.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

/// Where Debian has it; empty: not installed.
std::string libfaketime() {
  std::error_code none;
  for (const auto& each : std::filesystem::directory_iterator("/usr/lib", none)) {
    const auto found = each.path() / "faketime/libfaketimeMT.so.1";
    if (std::filesystem::exists(found, none)) return found.string();
  }
  return {};
}

/// A node's wall clock: the machine's and so many seconds.
class wall_clock {
 public:
  wall_clock(test_cluster& cluster, const std::string& node)
      : file_((cluster.folder() / (node + ".clock")).string()) {
    set(0);
    cluster.launch_with(
        node, {"env", "LD_PRELOAD=" + libfaketime(), "FAKETIME_TIMESTAMP_FILE=" + file_,
               "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_RESET=1"});
  }
  void set(int seconds) const {
    const std::string next = file_ + ".next";
    char text[32];
    std::snprintf(text, sizeof text, "%+d\n", seconds);
    std::ofstream(next) << text;
    std::filesystem::rename(next,
                            file_);  // It is read at each look at the clock: never half of it.
  }

 private:
  std::string file_;
};

TEST(clock, that_jumps_below_the_controller_or_a_node_changes_nothing) {
  if (libfaketime().empty()) GTEST_SKIP() << "no libfaketime here (Debian's libfaketime)";
  test_cluster cluster({.nodes = 0});
  const wall_clock of_a(cluster, "a");
  const wall_clock of_b(cluster, "b");
  for (const std::string name : {"a", "b", "c"}) cluster.start(name);
  // What Lua sees shows that there is a clock to be set.
  const auto app = [&](const std::string& word) {
    return cluster.app_with(word,
                            "server { listen 8080; location = /time { content_by_lua_block { "
                            "ngx.update_time() ngx.say(ngx.time()) } }\n"
                            "location / { return 200 " +
                                word + "; } }");
  };
  const auto is_well = [&](const std::string& word) {
    ASSERT_TRUE(test_cluster::comes_true([&] { return cluster.is_level(3); }))
        << word << cluster.ask({"nodes"}).out;
    const json set = cluster.ask_json({"config", "set", "word", word});
    EXPECT_EQ(set["state"], "applied") << set;
    const json pushed = cluster.ask_json({"push", app(word)}, 0, "b");
    EXPECT_EQ(pushed["nodes"].size(), 3u) << pushed;
    for (const std::string name : {"a", "b", "c"}) {
      EXPECT_EQ(cluster.get(name), word) << name;
      EXPECT_TRUE(test_cluster::comes_true([&] {
        return cluster.ask({"config", "get", "word"}, name).out == word + "\n";
      })) << name;
    }
  };
  const auto seconds_apart = [&] {
    return std::stoll(cluster.get("b", "/time")) - std::stoll(cluster.get("c", "/time"));
  };
  is_well("one");
  ASSERT_LT(std::abs(seconds_apart()), 60);
  // A node's, by a day: nothing of the protocol hangs on it.
  of_b.set(24 * 3600);
  ASSERT_GT(seconds_apart(), 23 * 3600);
  is_well("two");
  of_b.set(-24 * 3600);
  ASSERT_LT(seconds_apart(), -23 * 3600);
  is_well("three");
  EXPECT_EQ(cluster.stop("b"), 0);
  cluster.start("b");
  is_well("four");
  // The controller's, by some minutes (by more it takes orders for expired): beacons have its time,
  // and are believed when they go back, too.
  of_a.set(600);
  is_well("five");
  of_a.set(-600);
  is_well("six");
  EXPECT_EQ(cluster.stop("a"), 0);
  cluster.start("a");
  is_well("seven");
}

}  // namespace
}  // namespace troupe::tests
