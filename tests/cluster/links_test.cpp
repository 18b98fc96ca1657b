// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/link_ends.hpp"
#include "tests/support/free_port.hpp"

#include <zmq.h>

#include <thread>

namespace troupe::tests {
namespace {

using std::chrono::milliseconds;

const curve_pair& server() {
  static const curve_pair pair = *curve_pair::make();
  return pair;
}

std::vector<upper_address> to(const lower_end& end, const std::string& key = server().public_key) {
  return {{end.address(), key}};
}

TEST(links, a_node_that_is_allowed_asks_and_hears) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  upper_end node("a", mine, to(below));
  ASSERT_TRUE(node.seen.wait("up"));
  ASSERT_TRUE(below.seen.wait("subscribed node/a"));
  EXPECT_EQ(below.seen.count("subscribed c"), 1);
  EXPECT_EQ(below.seen.count("subscribed b"), 1);
  EXPECT_TRUE(node.ask("how are you"));
  EXPECT_EQ(below.last_peer, mine.public_key);
  below.announce("c", "news");
  EXPECT_TRUE(node.seen.wait("c news"));
}

TEST(links, who_names_no_port_gets_two_that_follow_each_other) {
  auto context = std::move(*zmq_context::make());
  auto who = std::move(*zap::bind(*context, {}));
  std::vector<std::unique_ptr<lower_sockets>> all;
  for (int n = 0; n < 3; ++n) {
    auto opened =
        lower_sockets::open(*context, *who, {.listen = {"127.0.0.1", 0}, .keys = server()}, {});
    ASSERT_TRUE(opened) << opened.error().reason;
    all.push_back(std::move(*opened));
  }
  auto after = all[0]->address();
  ++after.port;
  const auto taken = lower_sockets::open(*context, *who, {.listen = after, .keys = server()}, {});
  ASSERT_FALSE(taken) << "its announcements";
}

TEST(links, topics_come_when_they_are_asked_for) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  upper_end node("a", mine, to(below));
  ASSERT_TRUE(below.seen.wait("subscribed node/a"));
  on(*node.loop, [&] { node.socket->subscribe("t/orders"); });
  ASSERT_TRUE(below.seen.wait("subscribed t/orders"));
  below.announce("t/orders", "one");
  EXPECT_TRUE(node.seen.wait("t/orders one"));
  below.announce("t/other", "one");
  below.announce("b", "beat");
  ASSERT_TRUE(node.seen.wait("b beat"));
  EXPECT_EQ(node.seen.count("t/other one"), 0);
}

TEST(links, the_last_of_several_addresses_will_do) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  const free_port nobody;
  auto where = to(below);
  where.insert(where.begin(), {{"127.0.0.1", nobody.number()}, server().public_key});
  upper_end node("a", mine, where, {.attempt = milliseconds(300)});
  EXPECT_TRUE(node.seen.wait("up"));
  EXPECT_TRUE(node.ask("there"));
}

TEST(links, an_address_in_use_is_named) {
  lower_end first(server());
  auto context = zmq_context::make();
  auto who = zap::bind(**context, {});
  const auto second =
      lower_sockets::open(**context, **who, {.listen = first.address(), .keys = server()}, {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().reason.find(first.address().text()), std::string::npos);
  EXPECT_NE(second.error().reason.find("Address already in use"), std::string::npos)
      << second.error().reason;
}

TEST(links, a_key_that_nobody_knows_is_denied_and_let_in_when_it_is_allowed) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  upper_end node("a", mine, to(below));
  ASSERT_TRUE(node.seen.wait("log " + below.address().text() + " does not let our key in"));
  EXPECT_EQ(node.seen.count("up"), 0);
  below.allow({{mine.public_key, link_role::member}});
  EXPECT_TRUE(node.seen.wait("up")) << "back by itself";
  EXPECT_TRUE(node.ask("there"));
}

TEST(links, a_key_that_was_denied_for_long_is_in_soon_after_it_is_allowed) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  upper_end node("a", mine, to(below));
  // It tries at ever longer intervals, up to 5 s: so long that the next one is among the longest.
  std::this_thread::sleep_for(milliseconds(8'000));
  std::uint64_t denied = 0;
  on(*below.loop, [&] { denied = below.who->denied(); });
  EXPECT_GE(denied, 4U);
  const auto allowed = std::chrono::steady_clock::now();
  below.allow({{mine.public_key, link_role::member}});
  EXPECT_TRUE(node.seen.wait("up"));
  // By the protocol within 10 s: the longest interval is 5 s, and a handshake takes its time.
  EXPECT_LT(std::chrono::steady_clock::now() - allowed, milliseconds(30'000));
}

TEST(links, another_server_than_the_one_expected_is_no_link) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  upper_end node("a", mine, to(below, curve_pair::make()->public_key),
                 {.handshake = milliseconds(300)});
  for (int attempt = 0; node.count().denied < 2 && attempt < 600; ++attempt) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_GE(node.count().denied, 2U) << "it goes on trying";
  EXPECT_EQ(node.seen.count("up"), 0);
}

TEST(links, with_the_handler_not_answering_nobody_gets_in) {
  lower_end below(server(), {.handshake = milliseconds(300)}, /*serves_zap=*/false);
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  upper_end node("a", mine, to(below), {.handshake = milliseconds(300)});
  for (int attempt = 0; node.count().attempts < 3 && attempt < 1'200; ++attempt) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_GE(node.count().attempts, 3U);
  EXPECT_EQ(node.seen.count("up"), 0);
  EXPECT_EQ(below.count().messages, 0U);
}

/// Both contexts of their own: the sockets of one, the handler of the other.
struct without_handler {
  std::unique_ptr<zmq_context> handlers = std::move(*zmq_context::make());
  std::unique_ptr<zmq_context> sockets_context = std::move(*zmq_context::make());
  std::unique_ptr<zap> who = std::move(*zap::bind(*handlers, {}));
};

TEST(links, with_the_handler_dead_nobody_gets_in) {
  without_handler parts;
  const free_port ports(2);
  auto loop = std::move(*zmq_loop::make());
  notes seen;
  auto below = std::move(
      *lower_sockets::open(*parts.sockets_context, *parts.who,
                           {.listen = {"127.0.0.1", ports.number()}, .keys = server()},
                           {.on_message = [&](auto&&...) { seen.add("message"); },
                            .on_subscribed = [&](auto&&...) { seen.add("subscribed"); }}));
  loop->add(*below);
  loop->run();
  upper_end node("a", *curve_pair::make(), {{below->address(), server().public_key}},
                 {.attempt = milliseconds(300)});
  for (int attempt = 0; node.count().attempts < 3 && attempt < 1'200; ++attempt) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_GE(node.count().attempts, 3U);
  EXPECT_EQ(node.seen.count("up"), 0);
  loop->stop();
  EXPECT_EQ(seen.count("message") + seen.count("subscribed"), 0);
}

TEST(links, a_message_without_a_user_id_is_refused_where_there_are_keys) {
  without_handler parts;
  // Somebody else's handler, which lets in everybody and gives no name.
  auto careless = std::move(*zmq_socket::open(*parts.sockets_context, ZMQ_REP));
  ASSERT_TRUE(careless.bind("inproc://zeromq.zap.01"));
  const curve_pair mine = *curve_pair::make();
  parts.who->allow({{mine.public_key, link_role::member}});
  const free_port ports(2);
  auto loop = std::move(*zmq_loop::make());
  notes seen;
  auto below = std::move(
      *lower_sockets::open(*parts.sockets_context, *parts.who,
                           {.listen = {"127.0.0.1", ports.number()}, .keys = server()},
                           {.on_message = [&](auto&&...) { seen.add("message"); },
                            .on_subscribed = [&](auto&&...) { seen.add("subscribed"); }}));
  struct careless_source final : loop_source {
    zmq_socket* socket = nullptr;
    void handles(std::vector<void*>& to) const override { to.push_back(socket->handle()); }
    void pump(instant) override {
      while (auto got = socket->receive()) {
        (void)socket->send_all({"1.0", got->frames[1], "200", "OK", "", ""});
      }
    }
    [[nodiscard]] instant next_tick() const override { return instant::max(); }
  } source;
  source.socket = &careless;
  loop->add(source);
  loop->add(*below);
  loop->run();
  upper_end node("", mine, {{below->address(), server().public_key}});
  ASSERT_TRUE(node.seen.wait("up"));
  node.send(query{.ask = 1, .what = "let me"});
  EXPECT_TRUE(node.seen.wait("refused denied"));
  loop->stop();
  EXPECT_EQ(seen.count("message") + seen.count("subscribed"), 0);
  EXPECT_GE(below->count().denied, 1U);
}

TEST(links, a_revoked_key_is_cut_and_its_neighbours_notice_nothing) {
  lower_end below(server());
  const curve_pair bad = *curve_pair::make();
  const curve_pair good = *curve_pair::make();
  below.allow({{bad.public_key, link_role::member}, {good.public_key, link_role::member}});
  upper_end revoked("bad", bad, to(below));
  upper_end neighbour("good", good, to(below));
  ASSERT_TRUE(below.seen.wait("subscribed node/bad"));
  ASSERT_TRUE(below.seen.wait("subscribed node/good"));
  ASSERT_TRUE(revoked.seen.wait("up"));
  ASSERT_TRUE(neighbour.seen.wait("up"));
  ASSERT_TRUE(revoked.ask("in"));
  ASSERT_TRUE(neighbour.ask("in"));
  const auto cut_at = std::chrono::steady_clock::now();
  on(*below.loop, [&] {
    below.who->allow({{good.public_key, link_role::member}});
    below.sockets->cut(bad.public_key);
    below.sockets->announce("c", topic_message{.topic = "c", .payload = "secret"});
  });
  EXPECT_TRUE(revoked.seen.wait("down"));
  // The protocol says within a second; without the cut a time-out would find it in 10 s.
  EXPECT_LT(std::chrono::steady_clock::now() - cut_at, milliseconds(5'000));
  EXPECT_TRUE(below.seen.wait("gone " + bad.public_key));
  EXPECT_TRUE(revoked.seen.wait("log " + below.address().text() + " does not let our key in"));
  EXPECT_TRUE(neighbour.seen.wait("c secret"));
  EXPECT_EQ(revoked.seen.count("c secret"), 0);
  EXPECT_EQ(neighbour.seen.count("down"), 0);
  EXPECT_EQ(below.count().bound_anew, 0U);
}

TEST(links, a_cut_that_does_not_work_binds_the_announcements_anew) {
  lower_end below(server(), {.limits = {.cut = [](int) {}}, .cut_within = milliseconds(10)});
  const curve_pair bad = *curve_pair::make();
  const curve_pair good = *curve_pair::make();
  below.allow({{bad.public_key, link_role::member}, {good.public_key, link_role::member}});
  upper_end revoked("bad", bad, to(below));
  upper_end neighbour("good", good, to(below));
  ASSERT_TRUE(below.seen.wait("subscribed node/bad"));
  ASSERT_TRUE(below.seen.wait("subscribed node/good"));
  // With half a link it would be denied, and end the other half itself.
  ASSERT_TRUE(revoked.seen.wait("up"));
  ASSERT_TRUE(neighbour.seen.wait("up"));
  on(*below.loop, [&] {
    below.who->allow({{good.public_key, link_role::member}});
    below.sockets->cut(bad.public_key);
  });
  ASSERT_TRUE(below.seen.wait("subscribed node/good", 2)) << "it came back";
  EXPECT_GE(below.count().bound_anew, 1U);
  below.announce("c", "after");
  EXPECT_TRUE(neighbour.seen.wait("c after"));
  EXPECT_EQ(revoked.seen.count("c after"), 0);
}

TEST(links, tools_may_order_and_ask_but_hear_no_announcements) {
  lower_end below(server());
  const curve_pair tools = *curve_pair::make();
  below.allow({{tools.public_key, link_role::tools}});
  upper_end operators("", tools, to(below));
  ASSERT_TRUE(operators.seen.wait("up"));
  EXPECT_TRUE(operators.ask("nodes"));
  operators.send(hello{.ask = 2, .who = {.name = "me"}});
  EXPECT_TRUE(operators.seen.wait("refused denied"));
  upper_end listener("spy", tools, to(below));
  EXPECT_TRUE(listener.seen.wait("log " + below.address().text() + " does not let our key in"));
  EXPECT_EQ(below.seen.count("subscribed node/spy"), 0);
}

TEST(links, several_with_the_tools_key_get_each_their_own_answers) {
  lower_end below(server());
  const curve_pair tools = *curve_pair::make();
  below.allow({{tools.public_key, link_role::tools}});
  upper_end one("", tools, to(below));
  upper_end other("", tools, to(below));
  ASSERT_TRUE(one.seen.wait("up"));
  ASSERT_TRUE(other.seen.wait("up"));
  EXPECT_TRUE(one.ask("first"));
  EXPECT_TRUE(other.ask("second"));
  EXPECT_EQ(one.seen.count("answer second"), 0);
  EXPECT_EQ(other.seen.count("answer first"), 0);
}

TEST(links, the_key_of_a_token_is_good_for_an_order_only) {
  lower_end below(server());
  const curve_pair token = *curve_pair::make();
  below.allow({{token.public_key, link_role::token}});
  upper_end newcomer("", token, to(below));
  ASSERT_TRUE(newcomer.seen.wait("up"));
  newcomer.send(query{.ask = 3, .what = "nodes"});
  EXPECT_TRUE(newcomer.seen.wait("refused denied"));
  newcomer.send(submit{.ask = 4});
  for (int attempt = 0; below.count().messages == 0 && attempt < 1'200; ++attempt) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(below.count().messages, 1U);
}

TEST(links, of_two_with_one_key_the_last_that_said_hello_is_the_node) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  upper_end old("a", mine, to(below));
  ASSERT_TRUE(old.seen.wait("up"));
  old.send(hello{.ask = 1, .who = {.name = "a"}});
  ASSERT_TRUE(below.seen.wait("hello of " + mine.public_key));
  upper_end fresh("a", mine, to(below));
  ASSERT_TRUE(fresh.seen.wait("up"));
  EXPECT_TRUE(fresh.ask("before its hello")) << "who asks is answered";
  fresh.send(hello{.ask = 1, .who = {.name = "a"}});
  ASSERT_TRUE(below.seen.wait("hello of " + mine.public_key, 2));
  on(*below.loop, [&] { below.sockets->send(mine.public_key, repeat{}); });
  EXPECT_TRUE(fresh.seen.wait("repeat"));
  EXPECT_EQ(old.seen.count("repeat"), 0);
}

TEST(links, a_node_is_back_after_the_one_above_was_away) {
  auto below = std::make_unique<lower_end>(server());
  const auto ports = below->ports;  // kept while nobody listens
  const curve_pair mine = *curve_pair::make();
  below->allow({{mine.public_key, link_role::member}});
  upper_end node("a", mine, to(*below));
  ASSERT_TRUE(node.seen.wait("up"));
  const link_address at = below->address();
  below.reset();
  ASSERT_TRUE(node.seen.wait("down"));
  auto context = std::move(*zmq_context::make());
  auto who = std::move(*zap::bind(*context, {}));
  who->allow({{mine.public_key, link_role::member}});
  notes seen;
  auto loop = std::move(*zmq_loop::make());
  tl::expected<std::unique_ptr<lower_sockets>, refusal> again = tl::unexpected(refusal{});
  for (int attempt = 0; !again && attempt < 1'200; ++attempt) {
    again = lower_sockets::open(*context, *who, {.listen = at, .keys = server()},
                                {.on_message = [&](auto&&...) { seen.add("message"); },
                                 .on_subscribed = [&](const peer_id&, std::string_view topic,
                                                      instant) { seen.add(std::string(topic)); }});
    if (!again) std::this_thread::sleep_for(milliseconds(50));
  }
  ASSERT_TRUE(again) << again.error().reason;
  loop->add(*who);
  loop->add(**again);
  loop->run();
  EXPECT_TRUE(node.seen.wait("up", 2));
  EXPECT_TRUE(seen.wait("node/a")) << "its subscriptions too";
  loop->stop();
}

TEST(links, connecting_anew_takes_the_link_down_and_up) {
  lower_end below(server());
  const curve_pair mine = *curve_pair::make();
  below.allow({{mine.public_key, link_role::member}});
  upper_end node("a", mine, to(below));
  ASSERT_TRUE(node.seen.wait("up"));
  on(*node.loop, [&] { node.socket->connect_anew(); });
  EXPECT_TRUE(node.seen.wait("down"));
  EXPECT_TRUE(node.seen.wait("up", 2));
  EXPECT_TRUE(node.ask("there"));
}

TEST(links, without_keys_loopback_is_let_in) {
  lower_end below(std::nullopt);
  upper_end node("a", std::nullopt, to(below, ""));
  ASSERT_TRUE(below.seen.wait("subscribed node/a"));
  ASSERT_TRUE(node.seen.wait("up"));
  EXPECT_TRUE(node.ask("there"));
  below.announce("c", "news");
  EXPECT_TRUE(node.seen.wait("c news"));
}

TEST(links, who_wants_keys_and_who_has_none_do_not_meet) {
  lower_end below(server());
  upper_end node("a", std::nullopt, to(below, ""));
  for (int attempt = 0; node.count().attempts < 3 && attempt < 1'200; ++attempt) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_GE(node.count().attempts, 3U);
  EXPECT_EQ(node.seen.count("up"), 0);
}

}  // namespace
}  // namespace troupe::tests
