// SPDX-License-Identifier: Apache-2.0
//
// 500 random edits of an app, good ones and broken ones, and a model that knows what must come of
// each: what serves, what is refused and why, the history, what differs, rollbacks.
//
// TROUPE_TEST_SEED=N repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/control_client.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"

namespace troupe::tests {
namespace {

using nlohmann::json;

constexpr int modules = 5;    ///< lua/mN.lua, required at the start; /mN says what it returns.
constexpr int scripts = 3;    ///< lua/cN.lua, content_by_lua_file of /cN.
constexpr int pages = 6;      ///< html/sN.txt, which may be there or not.
constexpr int literals = 4;   ///< /lN, said by nginx.conf, which may be there or not.
constexpr int kept = 60;      ///< --keep-releases

/// The app as its author thinks of it; a value of nothing is a file or location that is not there.
struct app {
  std::map<int, std::string> module_says, script_says, page_says, literal_says;
  std::string extra;                ///< Lines in `http {}` that spoil it.
  std::map<std::string, std::string> spoilt;  ///< Files as they are instead.
  std::set<std::string> removed;
  std::string tool;  ///< bin/tool, if any.

  [[nodiscard]] app_files files() const {
    std::string conf = "init_by_lua_block { for i = 0, " + std::to_string(modules - 1) +
                       " do require('m' .. i) end }\n" + extra + "\nserver {\n  listen 8080;\n  root html;\n";
    app_files made;
    for (const auto& [i, says] : module_says) {
      const std::string n = std::to_string(i);
      conf += "  location = /m" + n + " { content_by_lua_block { ngx.print(require('m" + n + "')) } }\n";
      made["lua/m" + n + ".lua"] = "-- module " + n + "\nreturn '" + says + "'\n";
    }
    for (const auto& [i, says] : script_says) {
      const std::string n = std::to_string(i);
      conf += "  location = /c" + n + " { content_by_lua_file lua/c" + n + ".lua; }\n";
      made["lua/c" + n + ".lua"] = "local word = '" + says + "'\nngx.print(word)\n";
    }
    for (const auto& [i, says] : literal_says) {
      conf += "  location = /l" + std::to_string(i) + " { return 200 '" + says + "'; }\n";
    }
    for (const auto& [i, says] : page_says) made["html/s" + std::to_string(i) + ".txt"] = says;
    if (!tool.empty()) made["bin/tool"] = tool;
    made["nginx.conf"] = conf + "}\n";
    for (const auto& [path, bytes] : spoilt) made[path] = bytes;
    for (const std::string& path : removed) made.erase(path);
    return made;
  }
};

struct refusal {
  std::string file;    ///< Where it is said to be; empty: in the reason.
  std::string reason;  ///< A part of it.
};

/// What the node must know.
struct release {
  app what;
  app_files files;
  int parent = 0;
};

class model {
 public:
  explicit model(unsigned seed) : random_(seed) {}

  int any(int below) { return std::uniform_int_distribution(0, below - 1)(random_); }
  std::string word() { return "w" + std::to_string(++words_) + "-" + std::to_string(any(1000)); }

  void mend(app& it) {
    switch (any(6)) {
      case 0:
        it.module_says[any(modules)] = word();
        break;
      case 1:
        it.script_says[any(scripts)] = word();
        break;
      case 2:
        if (const int i = any(pages); it.page_says.contains(i) && any(2) == 0) it.page_says.erase(i);
        else it.page_says[i] = any(4) == 0 ? word() + std::string(1, '\0') + word() : word() + '\n' + word() + '\n';
        break;
      case 3:
        if (const int i = any(literals); it.literal_says.contains(i) && any(2) == 0) it.literal_says.erase(i);
        else it.literal_says[i] = word();
        break;
      case 4:
        it.tool = any(3) == 0 ? "" : "#!/bin/sh\necho " + word() + '\n';
        break;
      default:
        it.module_says[any(modules)] = word();
        it.literal_says[any(literals)] = word();
    }
  }

  refusal spoil(app& it) {
    const std::string m = "lua/m" + std::to_string(any(modules)) + ".lua";
    const std::string c = "lua/c" + std::to_string(any(scripts)) + ".lua";
    switch (any(9)) {
      case 0:
        it.spoilt[m] = "return 'not ended\n";
        return {"", m + ":1: unfinished string"};
      case 1:
        it.spoilt[c] = "local a = 1\n\nngx.print(= a)\n";
        return {c, "unexpected symbol near '='"};
      case 2:
        it.removed.insert(m);
        return {"", "module '" + m.substr(4, 2) + "' not found"};
      case 3:
        it.spoilt[m] = "error('no luck today')\n";
        return {"", "no luck today"};
      case 4:
        it.extra = "sever { }";
        return {"nginx.conf", "unknown directive \"sever\""};
      case 5:
        it.extra = "init_worker_by_lua_block { error('no worker') }";
        return {"nginx.conf", "no worker"};
      case 6:
        it.extra = "server { listen 8080; location / { content_by_lua_block { x = = 1 } }";
        return {"nginx.conf", ""};
      case 7:
        it.extra = "lua_shared_dict a;";
        return {"nginx.conf", "invalid number of arguments in \"lua_shared_dict\""};
      default:
        it.removed.insert("nginx.conf");
        return {"", "nginx.conf"};
    }
  }

  int next = 1;    ///< The number of the next release.
  int active = 0;
  std::map<int, release> releases;

 private:
  std::mt19937 random_;
  int words_ = 0;
};

std::map<std::string, std::string> changes(const app_files& from, const app_files& to) {
  std::map<std::string, std::string> found;
  for (const auto& [path, bytes] : from) {
    if (!to.contains(path)) found[path] = "removed";
    else if (to.at(path) != bytes) found[path] = "modified";
  }
  for (const auto& [path, bytes] : to) {
    if (!from.contains(path)) found[path] = "added";
  }
  return found;
}

std::map<std::string, std::string> changes(const json& told) {
  std::map<std::string, std::string> found;
  for (const json& each : told) found[each["path"]] = each["change"];
  return found;
}

/// Each address once.
void expect_serves(test_client& client, const app& it) {
  const auto expect = [&](const std::string& path, const std::map<int, std::string>& says, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string target = path + std::to_string(i) + (path == "/s" ? ".txt" : "");
      const response got = client.get(target);
      const auto found = says.find(i);
      EXPECT_EQ(got.status, found == says.end() ? 404 : 200) << target;
      if (found != says.end()) {
        EXPECT_EQ(got.body, found->second) << target;
      }
    }
  };
  expect("/m", it.module_says, modules);
  expect("/c", it.script_says, scripts);
  expect("/s", it.page_says, pages);
  expect("/l", it.literal_says, literals);
}

/// The history: the newest ones, the active one, what still lives, and nothing that never was.
std::set<int> expect_history(control_client& control, const model& known) {
  const json told = control.ask("GET", "/v1/releases").body;
  std::set<int> numbers;
  int before = known.next;
  for (const json& each : told) {
    const int number = each["release"];
    EXPECT_LT(number, before);
    before = number;
    numbers.insert(number);
    if (!known.releases.contains(number)) {
      ADD_FAILURE() << number << " never was";
      continue;
    }
    const release& it = known.releases.at(number);
    EXPECT_EQ(each["digest"], digest_of(it.files)) << number;
    EXPECT_EQ(each["parent"].is_null() ? 0 : each["parent"].get<int>(), it.parent) << number;
    EXPECT_EQ(each["state"] == "active", number == known.active) << each;
    EXPECT_EQ(each["author"], number == 1 ? each["author"] : json("ann"));
  }
  EXPECT_TRUE(numbers.contains(known.active));
  int newest = 0;
  for (auto at = known.releases.rbegin(); at != known.releases.rend() && newest < kept; ++at, ++newest) {
    EXPECT_TRUE(numbers.contains(at->first)) << at->first;
  }
  EXPECT_LE(numbers.size(), kept + 4u);
  return numbers;
}

void expect_diff(control_client& control, const model& known, int from, int to) {
  const auto got = control.ask("GET", "/v1/diff?from=" + std::to_string(from) + "&to=" + std::to_string(to));
  ASSERT_EQ(got.status, 200) << got.body;
  const app_files before = from == 0 ? app_files{} : known.releases.at(from).files;
  const app_files& after = known.releases.at(to).files;
  EXPECT_EQ(changes(got.body["files"]), changes(before, after));
  for (const json& each : got.body["files"]) {
    const std::string path = each["path"];
    const bool binary = (before.contains(path) && before.at(path).find('\0') != std::string::npos) ||
                        (after.contains(path) && after.at(path).find('\0') != std::string::npos);
    EXPECT_EQ(each["binary"], binary) << each;
  }
}

}  // namespace

TEST(random_edit, each_of_500_does_what_a_model_says) {
  const char* given = std::getenv("TROUPE_TEST_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device()();
  SCOPED_TRACE("TROUPE_TEST_SEED=" + std::to_string(seed));
  model known(seed);
  app now;
  for (int i = 0; i < modules; ++i) now.module_says[i] = known.word();
  for (int i = 0; i < scripts; ++i) now.script_says[i] = known.word();

  temp_dir folder;
  for (const auto& [path, bytes] : now.files()) folder.write("app/" + path, bytes);
  test_node node({.app = folder.path() / "app", .flags = {"--keep-releases", std::to_string(kept)}});
  control_client control(node.data());
  test_client client(node);
  known.releases[known.next] = {now, now.files(), 0};
  known.active = known.next++;
  int refused = 0;
  int applied = 0;
  int rolled_back = 0;

  for (int step = 0; step < 500 && !testing::Test::HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const int kind = known.any(20);
    if (kind < 2) {  // back to some release, one that is known or not
      const std::set<int> listed = expect_history(control, known);
      const int to = 1 + known.any(known.next + 1);
      const auto got = control.rollback(to);
      if (!listed.contains(to)) {
        EXPECT_EQ(got.status, 404) << got.body;
        EXPECT_EQ(got.body["error"], "unknown_release");
        continue;
      }
      ++rolled_back;
      ASSERT_EQ(got.status, 200) << got.body;
      EXPECT_EQ(got.body["release"], to);
      EXPECT_EQ(got.body["parent"], known.active);
      EXPECT_EQ(changes(got.body["changed"]),
                changes(known.releases.at(known.active).files, known.releases.at(to).files));
      known.active = to;
      now = known.releases.at(to).what;
    } else if (kind == 2) {  // someone else was first
      app other = now;
      known.mend(other);
      const auto got = control.apply(other.files(), "author=bob&expect=" + std::to_string(known.active + 1));
      EXPECT_EQ(got.status, 409) << got.body;
      EXPECT_EQ(got.body["error"], "overtaken");
      EXPECT_EQ(got.body["active"], known.active);
    } else if (kind == 3) {  // what does not differ
      const auto got = control.apply(now.files(), "author=bob");
      ASSERT_EQ(got.status, 200) << got.body;
      EXPECT_EQ(got.body["release"], known.active);
      EXPECT_EQ(got.body["changed"], json::array());
    } else {
      app edited = now;
      for (int i = known.any(3); i >= 0; --i) known.mend(edited);
      std::optional<refusal> expected;
      if (known.any(5) < 2) expected = known.spoil(edited);
      const std::string expect = known.any(2) == 0 ? "&expect=" + std::to_string(known.active) : "";
      const auto got = control.apply(edited.files(), "author=ann&message=step" + std::to_string(step) + expect);
      if (expected) {
        ++refused;
        EXPECT_EQ(got.status, 422) << got.body;
        EXPECT_EQ(got.body["error"], "check_failed");
        EXPECT_EQ(got.body["active"], known.active);
        EXPECT_NE(got.body.value("reason", "").find(expected->reason), std::string::npos) << got.body;
        if (!expected->file.empty()) {
          EXPECT_EQ(got.body["file"], expected->file) << got.body;
          EXPECT_GT(got.body.value("line", 0), 0) << got.body;
        }
      } else if (edited.files() == now.files()) {
        EXPECT_EQ(got.body["release"], known.active);
        now = edited;
      } else {
        ++applied;
        ASSERT_EQ(got.status, 200) << got.body;
        EXPECT_EQ(got.body["release"], known.next);
        EXPECT_EQ(got.body["parent"], known.active);
        EXPECT_EQ(got.body["digest"], digest_of(edited.files()));
        EXPECT_EQ(changes(got.body["changed"]), changes(now.files(), edited.files()));
        now = edited;
        known.releases[known.next] = {now, now.files(), known.active};
        known.active = known.next++;
      }
    }
    expect_serves(client, now);
    if (step % 20 == 19) {
      const std::set<int> listed = expect_history(control, known);
      std::vector<int> numbers(listed.begin(), listed.end());
      const auto pick = [&] { return numbers[static_cast<std::size_t>(known.any(static_cast<int>(numbers.size())))]; };
      expect_diff(control, known, known.any(3) == 0 ? 0 : pick(), pick());
      const int number = pick();
      for (const auto& [path, bytes] : known.releases.at(number).files) {
        const response got = test_client(control.where()).get("/v1/releases/" + std::to_string(number) + "/files/" + path);
        EXPECT_EQ(got.body, bytes) << number << ' ' << path;
      }
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(applied, 100);
  EXPECT_GT(rolled_back, 10);
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
