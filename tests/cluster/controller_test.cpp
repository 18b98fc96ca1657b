// SPDX-License-Identifier: Apache-2.0
#include "cluster/controller.hpp"

#include "cluster/memory_blobs.hpp"
#include "cluster/memory_log.hpp"
#include "cluster/outcomes.hpp"
#include "tests/cluster/history.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

/// A log that takes its time, as that in etcd.
class slow_log final : public memory_log {
 public:
  void append(const change& next, appended done) override {
    if (!is_slow) return memory_log::append(next, std::move(done));
    waiting = [this, next, done = std::move(done)] { memory_log::append(next, done); };
  }
  bool is_slow = false;
  std::function<void()> waiting;
};

struct nobody final : lower_links {
  void announce(std::string_view, const message&) override {}
  void send(const peer_id&, const message& what) override { sent.push_back(what); }
  void cut(const peer_id&) override {}
  std::vector<message> sent;
};

TEST(controller, who_orders_hears_each_second_that_the_order_is_not_in_the_log_yet) {
  history h;
  slow_log log;
  memory_blobs blobs;
  nobody below;
  controller one({.name = "a",
                  .key = h.node_key("a"),
                  .root = h.root(),
                  .wall_clock = [&h] { return h.now; },
                  .log = {}},
                 log, blobs, below);
  const instant begun{1h};
  ASSERT_TRUE(one.start(begun, {h.sign(h.make(h.member("a", true), ""), h.admin),
                                h.sign(h.make(promote_order{.node = "a", .epoch = 1}, ""), h.admin)}));
  log.is_slow = true;
  const order what = h.make(config_order{.key = "limit", .value = "1"}, "");
  std::vector<progress> heard;
  one.submit(h.sign(what, h.admin), [&](const progress& news) { heard.push_back(news); }, begun);
  EXPECT_TRUE(heard.empty());
  for (int i = 1; i <= 3; ++i) {
    one.tick(begun + i * 1s);
    ASSERT_EQ(heard.size(), static_cast<std::size_t>(i));
    EXPECT_EQ(heard.back().id, what.id);
    EXPECT_FALSE(heard.back().done);
    EXPECT_EQ(heard.back().state, "applying");
  }
  // Who asks how it goes is told the same.
  one.on_message(h.node_curve("a"), query{7, std::string(outcome_query) + text(what.id)}, begun + 3s);
  const auto* answer = below.sent.empty() ? nullptr : std::get_if<query_answer>(&below.sent.back());
  ASSERT_NE(answer, nullptr);
  const auto told = decode_message(answer->text);
  ASSERT_TRUE(told);
  EXPECT_EQ(std::get<progress>(*told), heard.back());
  log.is_slow = false;
  std::exchange(log.waiting, nullptr)();
  ASSERT_EQ(heard.size(), 4U);
  EXPECT_TRUE(heard.back().done);
  EXPECT_EQ(heard.back().state, "applied");
  one.tick(begun + 5s);
  EXPECT_EQ(heard.size(), 4U);
}

TEST(controller, promotes_nobody_that_others_could_not_link_to) {
  for (const bool with_keys : {false, true}) {
    history h(with_keys);
    memory_log log;
    memory_blobs blobs;
    nobody below;
    controller::options how{.name = "a", .root = h.root(), .wall_clock = [&h] { return h.now; }};
    if (with_keys) how.key = h.node_key("a");
    controller one(std::move(how), log, blobs, below);
    const instant begun{1h};
    member_order plain = h.member("b", true);
    plain.address.clear();
    ASSERT_TRUE(
        one.start(begun, {h.sign(h.make(h.member("a", true), ""), h.admin),
                          h.sign(h.make(promote_order{.node = "a", .epoch = 1}, ""), h.admin),
                          h.sign(h.make(plain, ""), h.admin)}));
    for (const char* name : {"b", "nobody"}) {
      std::optional<progress> last;
      one.submit(h.sign(h.make(promote_order{.node = name, .epoch = 2}, ""), h.admin),
                 [&](const progress& news) { last = news; }, begun);
      ASSERT_TRUE(last && last->done) << name;
      EXPECT_NE(last->error, "") << name;
      EXPECT_EQ(one.state().controller(), "a") << name;
      if (name[0] == 'b') {
        EXPECT_NE(last->reason.find("start it with --controller --listen"), std::string::npos)
            << last->reason;
      }
    }
    EXPECT_FALSE(one.has_lost());
  }
}

}  // namespace
}  // namespace troupe::cluster
