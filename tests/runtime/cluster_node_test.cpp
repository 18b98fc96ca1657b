// SPDX-License-Identifier: Apache-2.0
//
// The public class: nodes of a cluster inside a program, one or two of them on loopback.
#include "troupe/cluster_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cluster/key_folder.hpp"
#include "tests/support/endpoint.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"

namespace troupe {
namespace {

using nlohmann::json;
using member_list = std::vector<net::cluster_member>;

bool comes_true(const std::function<bool()>& what) {
  const auto end = std::chrono::steady_clock::now() + tests::patience;
  while (!what()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

const net::cluster_member* find(const member_list& all, const std::string& name) {
  for (const auto& each : all) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

bool is_live(const member_list& all, const std::string& name) {
  const auto* found = find(all, name);
  return found != nullptr && found->live;
}

/// What callbacks, on threads of a node, have said.
class notebook {
 public:
  void lists(const member_list& all) {
    const std::lock_guard lock(mutex_);
    lists_.push_back(all);
  }
  void said(std::string_view message, std::string_view from) {
    const std::lock_guard lock(mutex_);
    said_.push_back(std::string(from) + ' ' + std::string(message));
  }
  [[nodiscard]] std::vector<member_list> lists() const {
    const std::lock_guard lock(mutex_);
    return lists_;
  }
  [[nodiscard]] std::vector<std::string> said() const {
    const std::lock_guard lock(mutex_);
    return said_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<member_list> lists_;
  std::vector<std::string> said_;
};

class cluster_nodes : public ::testing::Test {
 protected:
  /// `a` is the controller. Without keys, unless the test gives some.
  cluster_node_options options(const std::string& name) {
    cluster_node_options made;
    made.name = name;
    made.data = (folder.path() / name).string();
    if (name == "a") {
      made.is_controller = true;
      made.listen = address();
    } else {
      made.join = {address()};
    }
    made.port = 0;
    made.shards = 1;
    made.log_level = net::log_level::error;
    made.listening = [this, name](const std::string& app,
                                  const std::vector<listener_info>& listeners) {
      const std::lock_guard lock(mutex);
      serves[name + ' ' + app] = listeners.at(0).address;
    };
    return made;
  }
  std::unique_ptr<cluster_node> start(cluster_node_options how) {
    auto made = cluster_node::start(std::move(how));
    EXPECT_TRUE(made) << made.error().at(0).reason;
    return made ? std::move(*made) : nullptr;
  }
  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(ports.number());
  }
  [[nodiscard]] std::string app(const std::string& word) const {
    return app_with(word,
                    "server { listen 127.0.0.1:80; location / { return 200 " + word + "; } }");
  }
  [[nodiscard]] std::string app_with(const std::string& name, const std::string& http) const {
    folder.write("apps/" + name + "/nginx.conf", "events {}\nhttp {\n" + http + "\n}\n");
    return (folder.path() / "apps" / name).string();
  }
  static json push(cluster_node& by, net::cluster_push what) {
    auto said = std::make_shared<std::promise<std::string>>();
    auto result = said->get_future();
    by.push(std::move(what), [said](std::string text) { said->set_value(std::move(text)); });
    if (result.wait_for(tests::patience) != std::future_status::ready) return "no answer";
    return json::parse(result.get(), nullptr, false);
  }
  [[nodiscard]] std::string get(const std::string& name, const std::string& app = "default") {
    std::string where;
    {
      const std::lock_guard lock(mutex);
      where = serves[name + ' ' + app];
    }
    if (where.empty()) return {};
    return tests::test_client(tests::endpoint::of(where)).get("/").body;
  }
  static int end(cluster_node& of) {
    of.stop(stop_mode::graceful);
    return of.wait();
  }

  tests::temp_dir folder;
  tests::free_port ports{2};
  std::mutex mutex;
  std::map<std::string, std::string> serves;  ///< Address by "NODE APP".
};

TEST_F(cluster_nodes, push_a_folder_and_say_how_each_of_them_did) {
  const auto a = start(options("a"));
  auto b_options = options("b");
  b_options.labels = {{"zone", "eu"}};
  const auto b = start(std::move(b_options));
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->address(), address());
  EXPECT_EQ(b->address(), "");
  ASSERT_TRUE(comes_true([&] { return is_live(b->nodes(), "a") && is_live(b->nodes(), "b"); }));
  EXPECT_EQ(find(b->nodes(), "a")->role, "controller");
  EXPECT_EQ(find(b->nodes(), "b")->labels.at("zone"), "eu");

  const json one = push(*b, {.path = app("one"), .message = "first"});
  EXPECT_EQ(one["state"], "active") << one;
  EXPECT_EQ(one["release"], 1);
  EXPECT_EQ(one["nodes"].size(), 2u);
  EXPECT_FALSE(one.contains("error")) << one;
  for (const std::string name : {"a", "b"}) {
    EXPECT_TRUE(comes_true([&] { return get(name) == "one"; })) << name;
  }
  // All of what it can be asked for.
  const json some = push(*a, {.path = app("two"), .app = "shop", .to = "zone=eu", .expect = 0});
  EXPECT_EQ(some["state"], "active") << some;
  EXPECT_EQ(some["nodes"].size(), 1u) << some;
  EXPECT_TRUE(comes_true([&] { return get("b", "shop") == "two"; }));
  EXPECT_EQ(get("a", "shop"), "");
  EXPECT_EQ(end(*b), 0);
  EXPECT_EQ(end(*a), 0);
}

TEST_F(cluster_nodes, say_why_a_push_was_not_done) {
  const auto a = start(options("a"));
  ASSERT_TRUE(a);
  ASSERT_EQ(push(*a, {.path = app("one")})["state"], "active");
  const json nowhere = push(*a, {.path = (folder.path() / "none").string()});
  EXPECT_EQ(nowhere["error"], "check_failed") << nowhere;
  EXPECT_FALSE(nowhere["reason"].get<std::string>().empty()) << nowhere;
  const json bad = push(*a, {.path = app_with("bad", "sever {}")});
  EXPECT_EQ(bad["state"], "aborted") << bad;
  EXPECT_NE(bad["reason"].get<std::string>().find("sever"), std::string::npos) << bad;
  EXPECT_EQ(push(*a, {.path = app("two"), .expect = 9})["error"], "overtaken");
  EXPECT_EQ(push(*a, {.path = app("two"), .to = "zone"})["error"], "bad_request");
  EXPECT_EQ(push(*a, {.path = app("two"), .require_percent = 0})["error"], "bad_request");
  EXPECT_EQ(push(*a, {.path = app("two"), .canary_percent = 101})["error"], "bad_request");
  EXPECT_EQ(get("a"), "one");
}

TEST_F(cluster_nodes, hear_what_is_said_on_topics_that_they_subscribed_to) {
  notebook by_a;  // Outlive the nodes, as what callbacks use has to.
  notebook by_b;
  notebook others;
  const auto a = start(options("a"));
  const auto b = start(options("b"));
  ASSERT_TRUE(a && b);
  a->subscribe("prices", [&](auto message, auto from) { by_a.said(message, from); });
  b->subscribe("prices", [&](auto message, auto from) { by_b.said(message, from); });
  b->subscribe("news", [&](auto message, auto from) { others.said(message, from); });
  // Best effort: until the subscriptions have arrived nobody hears.
  const std::string bytes("12\0.50", 6);
  ASSERT_TRUE(comes_true([&] {
    b->publish("prices", bytes);
    return !by_a.said().empty() && !by_b.said().empty();
  }));
  EXPECT_EQ(by_a.said().front(), "b " + bytes);
  EXPECT_EQ(by_b.said().front(), "b " + bytes);
  EXPECT_TRUE(others.said().empty());
}

TEST_F(cluster_nodes, are_told_when_a_node_comes_runs_another_release_and_goes) {
  notebook told;
  const auto a = start(options("a"));
  ASSERT_TRUE(a);
  a->on_change([&](const member_list& all) { told.lists(all); });
  const auto was_told = [&](const std::function<bool(const member_list&)>& what) {
    return comes_true([&] {
      const auto lists = told.lists();
      return std::ranges::any_of(lists, what);
    });
  };
  auto b = start(options("b"));
  ASSERT_TRUE(b);
  EXPECT_TRUE(was_told([](const member_list& all) { return is_live(all, "b"); }));
  ASSERT_EQ(push(*a, {.path = app("one")})["state"], "active");
  EXPECT_TRUE(was_told([](const member_list& all) {
    const auto* one = find(all, "b");
    return one != nullptr && one->releases == decltype(one->releases){{"default", 1}};
  }));
  EXPECT_EQ(end(*b), 0);
  b.reset();
  EXPECT_TRUE(was_told(
      [](const member_list& all) { return find(all, "b") != nullptr && !is_live(all, "b"); }));
  // And for nothing else.
  const auto lists = told.lists();
  for (std::size_t i = 1; i < lists.size(); ++i) {
    EXPECT_FALSE(std::ranges::equal(
        lists[i - 1], lists[i],
        [](const auto& before, const auto& after) { return before.is_like(after); }))
        << i;
  }
}

TEST_F(cluster_nodes, sign_with_the_operators_key_and_without_one_order_nothing) {
  const std::string keys = (folder.path() / "keys").string();
  ASSERT_TRUE(cluster::key_folder::make(keys, "operator"));
  auto with_keys = options("a");
  with_keys.key_folder = keys;
  const auto a = start(std::move(with_keys));
  ASSERT_TRUE(a);
  EXPECT_EQ(push(*a, {.path = app("one")})["state"], "active");
  // The operator keeps the keys elsewhere: what runs on this node may push no more.
  std::filesystem::rename(keys, keys + ".away");
  const json refused = push(*a, {.path = app("two")});
  EXPECT_TRUE(refused.contains("error")) << refused;
  EXPECT_FALSE(refused["reason"].get<std::string>().empty()) << refused;
  EXPECT_EQ(get("a"), "one");
}

TEST_F(cluster_nodes, begin_from_their_disks_with_what_they_served) {
  {
    const auto a = start(options("a"));
    ASSERT_TRUE(a);
    ASSERT_EQ(push(*a, {.path = app("one")})["state"], "active");
    EXPECT_EQ(end(*a), 0);
  }
  serves.clear();
  const auto a = start(options("a"));
  ASSERT_TRUE(a);
  EXPECT_TRUE(comes_true([&] { return get("a") == "one"; }));
  EXPECT_EQ(push(*a, {.path = app("two"), .expect = 1})["release"], 2);
}

TEST_F(cluster_nodes, that_cannot_start_say_why_and_leave_nothing_behind) {
  auto open = options("a");
  open.listen = "0.0.0.0:" + std::to_string(ports.number());
  const auto refused = cluster_node::start(std::move(open));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().at(0).reason.find("keys"), std::string::npos)
      << refused.error().at(0).reason;
  // The folder and the ports are free again.
  const auto a = start(options("a"));
  ASSERT_TRUE(a);
  const auto second = cluster_node::start(options("a"));
  ASSERT_FALSE(second);
  EXPECT_FALSE(second.error().at(0).reason.empty());
  EXPECT_TRUE(comes_true([&] { return is_live(a->nodes(), "a"); }));
}

TEST_F(cluster_nodes, answer_each_push_once_also_when_they_end_before_it_was_done) {
  std::atomic<int> answers = 0;
  {
    const auto a = start(options("a"));
    ASSERT_TRUE(a);
    for (int i = 0; i < 5; ++i) {
      a->push({.path = app("word" + std::to_string(i))}, [&](const std::string& text) {
        EXPECT_TRUE(json::parse(text, nullptr, false).is_object()) << text;
        ++answers;
      });
    }
  }
  EXPECT_EQ(answers, 5);
}

}  // namespace
}  // namespace troupe
