// SPDX-License-Identifier: Apache-2.0
//
// Names in cosockets: name servers that lie, are silent or cut their answers short, and the system's
// own files.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/dns_peer.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_client.hpp"
#include "tests/support/test_node.hpp"
#include "tests/support/test_peer.hpp"

namespace troupe::tests {
namespace {

/// What the code says, with `resolver` set so; the node leaves with 0 and has logged nothing of note.
std::string answer(const std::string& resolver, const std::string& code) {
  test_node node({.conf = "resolver " + resolver + "; server { listen @port@; lua_socket_log_errors off; "
                          "location = / { content_by_lua_block { " + code + " } } }"});
  const std::string body = test_client(node).get("/").body;
  EXPECT_EQ(node.stop(), 0);
  EXPECT_EQ(node.log_lines(level::warn), no_lines);
  return body;
}

/// A peer that greets each connection.
test_peer greeter() {
  return test_peer([](test_connection& with) { with.send("here\n"); });
}

/// Lua: connects to `name` and says what comes.
std::string greet(const test_peer& peer, const std::string& name) {
  return " do local sock = ngx.socket.tcp() local ok, e = sock:connect('" + name + "', " +
         std::to_string(peer.address().port) + ") ngx.say(ok and sock:receive() or e) end ";
}

}  // namespace

TEST(resolver, asks_for_both_families_and_for_one_if_told) {
  const test_peer peer = greeter();
  dns_peer dns(knows("stage.test", "127.0.0.1"));
  EXPECT_EQ(answer(dns.address(), greet(peer, "stage.test")), "here\n");
  const auto both = dns.asked();
  EXPECT_EQ(std::count(both.begin(), both.end(), "stage.test A"), 1);
  EXPECT_EQ(std::count(both.begin(), both.end(), "stage.test AAAA"), 1);
  EXPECT_EQ(answer(dns.address() + " ipv6=off", greet(peer, "stage.test")), "here\n");
  const auto more = dns.asked();
  EXPECT_EQ(std::count(more.begin(), more.end(), "stage.test AAAA"), 1);
}

TEST(resolver, says_why_a_name_is_not_known) {
  std::map<std::string, int> codes = {{"form", 1}, {"server", 2}, {"absent", 3}, {"kind", 4}, {"refused", 5}};
  const dns_peer dns([&](const dns_question& asked) -> std::vector<std::string> {
    const auto found = codes.find(asked.name);
    return {dns_answer(asked, found != codes.end() ? found->second : 0).bytes()};
  });
  EXPECT_EQ(answer(dns.address() + " ipv6=off", R"(
      for _, name in ipairs{ "form", "server", "absent", "kind", "refused", "empty" } do
          ngx.say(select(2, ngx.socket.tcp():connect(name, 80)))
      end
      ngx.say(select(2, ngx.socket.udp():setpeername("absent", 80))))"),
            "form could not be resolved (1: Format error)\n"
            "server could not be resolved (2: Server failure)\n"
            "absent could not be resolved (3: Host not found)\n"
            "kind could not be resolved (4: Unimplemented)\n"
            "refused could not be resolved (5: Operation refused)\n"
            "empty could not be resolved (3: Host not found)\n"
            "absent could not be resolved (3: Host not found)\n");
}

TEST(resolver, that_is_silent_is_a_time_out_of_its_own) {
  const dns_peer dns([](const dns_question&) { return std::vector<std::string>(); });
  // The connect's own time-out does not count while a name is looked up.
  EXPECT_EQ(answer(dns.address() + "; resolver_timeout 50ms", R"(
      local sock = ngx.socket.tcp()
      sock:settimeout(1)
      ngx.say(select(2, sock:connect("stage.test", 80)))
      local udp = ngx.socket.udp()
      udp:settimeout(1)
      ngx.say(select(2, udp:setpeername("stage.test", 80))))"),
            "stage.test could not be resolved (110: Operation timed out)\n"
            "stage.test could not be resolved (110: Operation timed out)\n");
}

TEST(resolver, that_lies_is_not_believed) {
  const test_peer peer = greeter();
  const dns_peer liar([](const dns_question& asked) {
    dns_question of_another = asked, with_wrong_id = asked;
    of_another.name = "other.test";
    with_wrong_id.id = static_cast<std::uint16_t>(asked.id + 1);
    const std::string good = dns_answer(asked).add("stage.test", dns_a, "127.0.0.1").bytes();
    return std::vector<std::string>{
        "x", std::string(12, '\xff'), std::string(2000, '\xc0'),
        dns_answer(with_wrong_id).add("stage.test", dns_a, "127.0.0.66").bytes(),
        dns_answer(of_another).add("other.test", dns_a, "127.0.0.66").bytes(), good};
  });
  EXPECT_EQ(answer(liar.address() + " ipv6=off", greet(peer, "stage.test")), "here\n");
}

// A record for another name, in an answer to the right question.
TEST(resolver, takes_no_address_of_another_name) {
  const dns_peer liar([](const dns_question& asked) {
    return std::vector<std::string>{dns_answer(asked).add("evil.test", dns_a, "127.0.0.1").bytes()};
  });
  EXPECT_EQ(answer(liar.address() + " ipv6=off",
                   "ngx.say(select(2, ngx.socket.tcp():connect('stage.test', 80)))"),
            "stage.test could not be resolved (3: Host not found)\n");
}

TEST(resolver, survives_answers_that_are_cut_anywhere) {
  const test_peer peer = greeter();
  const dns_peer dns([](const dns_question& asked) {
    const std::string good = dns_answer(asked)
                                 .add(asked.name, dns_cname, "c.test")
                                 .add("c.test", dns_a, "127.0.0.1")
                                 .bytes();
    const std::size_t size = static_cast<std::size_t>(std::stoi(asked.name));
    return std::vector<std::string>{size < good.size() ? good.substr(0, size) : good};
  });
  EXPECT_EQ(answer(dns.address() + " ipv6=off; resolver_timeout 2s", R"(
      local t = {}
      for size = 0, 60 do
          t[size] = ngx.thread.spawn(function()
              local ok, e = ngx.socket.tcp():connect(size .. ".test", 80)
              if ok or not e:find("could not be resolved", 1, true) then ngx.say(size, " ", e) end
          end)
      end
      for size = 0, 60 do ngx.thread.wait(t[size]) end)" + greet(peer, "1000.test")),
            "here\n");
}

TEST(resolver, asks_again_by_tcp_where_the_answer_was_cut_short) {
  const test_peer peer = greeter();
  const dns_peer dns([](const dns_question& asked) {
    dns_answer answer(asked, 0, !asked.over_tcp);
    if (asked.over_tcp) answer.add("stage.test", dns_a, "127.0.0.1");
    return std::vector<std::string>{answer.bytes()};
  });
  EXPECT_EQ(answer(dns.address() + " ipv6=off", greet(peer, "stage.test")), "here\n");
  const std::vector<std::string> expected = {"stage.test A", "stage.test A tcp"};
  EXPECT_EQ(dns.asked(), expected);
}

TEST(resolver, follows_a_chain_of_aliases) {
  const test_peer peer = greeter();
  const dns_peer dns([](const dns_question& asked) {
    return std::vector<std::string>{dns_answer(asked)
                                        .add("one.test", dns_cname, "two.test")
                                        .add("two.test", dns_cname, "three.test")
                                        .add("three.test", dns_a, "127.0.0.1")
                                        .bytes()};
  });
  EXPECT_EQ(answer(dns.address() + " ipv6=off", greet(peer, "one.test")), "here\n");
}

TEST(resolver, keeps_an_answer_as_long_as_dns_or_valid_says) {
  const test_peer peer = greeter();
  const std::string twice = greet(peer, "stage.test") + greet(peer, "stage.test");
  const dns_peer lasting(knows("stage.test", "127.0.0.1", 3600));
  EXPECT_EQ(answer(lasting.address() + " ipv6=off", twice), "here\nhere\n");
  EXPECT_EQ(lasting.asked().size(), 1U);
  const dns_peer passing(knows("stage.test", "127.0.0.1", 0));
  EXPECT_EQ(answer(passing.address() + " ipv6=off", twice), "here\nhere\n");
  EXPECT_EQ(passing.asked().size(), 2U);
  EXPECT_EQ(answer(passing.address() + " ipv6=off valid=1h", twice), "here\nhere\n");
  EXPECT_EQ(passing.asked().size(), 3U);
}

TEST(resolver, asks_another_server_if_one_is_silent_or_broken) {
  const test_peer peer = greeter();
  const dns_peer silent([](const dns_question&) { return std::vector<std::string>(); });
  const dns_peer broken([](const dns_question& asked) {
    return std::vector<std::string>{dns_answer(asked, 2).bytes()};
  });
  const dns_peer good(knows("stage.test", "127.0.0.1"));
  EXPECT_EQ(answer(silent.address() + " " + good.address() + " ipv6=off", greet(peer, "stage.test")), "here\n");
  EXPECT_EQ(answer(broken.address() + " " + good.address() + " ipv6=off", greet(peer, "stage.test")), "here\n");
}

// One question for all who ask at the same time.
TEST(resolver, asks_once_for_many) {
  const test_peer peer = greeter();
  const dns_peer dns(knows("stage.test", "127.0.0.1", 0));
  EXPECT_EQ(answer(dns.address() + " ipv6=off", "local t = {} for i = 1, 5 do t[i] = ngx.thread.spawn(function()" +
                   greet(peer, "stage.test") + "end) end for i = 1, 5 do ngx.thread.wait(t[i]) end"),
            "here\nhere\nhere\nhere\nhere\n");
  EXPECT_EQ(dns.asked().size(), 1U);
}

TEST(resolver, tries_a_name_s_next_address_where_nobody_listens) {
  const test_peer peer = greeter();  // On 127.0.0.1 alone.
  const dns_peer dns([](const dns_question& asked) {
    dns_answer answer(asked);
    if (asked.type == dns_aaaa) {
      answer.add("stage.test", dns_aaaa, "::1");
    } else {
      answer.add("stage.test", dns_a, "127.0.0.77").add("stage.test", dns_a, "127.0.0.1");
    }
    return std::vector<std::string>{answer.bytes()};
  });
  EXPECT_EQ(answer(dns.address(), greet(peer, "stage.test") + greet(peer, "stage.test")), "here\nhere\n");
}

TEST(resolver, says_what_the_last_address_said) {
  const dns_peer dns(knows("stage.test", "127.0.0.1"));
  const free_port nobody;
  EXPECT_EQ(answer(dns.address(), "ngx.say(select(2, ngx.socket.tcp():connect('stage.test', " +
                                      std::to_string(nobody.number()) + ")))"),
            "connection refused\n");
}

TEST(resolver, forgets_a_lookup_whose_thread_was_killed) {
  const dns_peer dns([](const dns_question&) { return std::vector<std::string>(); });
  EXPECT_EQ(answer(dns.address(), R"(
      local sock = ngx.socket.tcp()
      local t = ngx.thread.spawn(function() return sock:connect("stage.test", 80) end)
      ngx.say(sock:connect("127.0.0.1", 80), " ", (select(2, sock:connect("127.0.0.1", 80))))
      ngx.say(select(2, sock:send("x")), " ", select(2, sock:receive()), " ", select(2, sock:getreusedtimes()),
              " ", select(2, sock:setkeepalive()), " ", select(2, sock:close()))
      ngx.say(ngx.thread.kill(t)))"),
            "nil socket busy connecting\nclosed closed closed closed closed\n1\n");
}

// In a mount namespace of its own the node sees an /etc/hosts of the test's.
TEST(resolver, reads_the_system_s_hosts_each_time) {
  if (run({"unshare", "-m", "true"}).status != 0) GTEST_SKIP() << "no mount namespaces here";
  const test_peer peer = greeter();
  const temp_dir folder;
  const auto hosts = folder.write("hosts", "127.0.0.1 first.test\n");
  const auto wrapper =
      folder.write("node", "#!/bin/sh\nexec unshare -m sh -c 'mount --bind " + hosts.string() +
                               " /etc/hosts && exec " + binary_under_test() + " \"$@\"' sh \"$@\"\n");
  std::filesystem::permissions(wrapper, std::filesystem::perms::owner_all);
  test_node node({.conf = "resolver_timeout 200ms; server { listen @port@; lua_socket_log_errors off; location = / { content_by_lua_block {" +
                          greet(peer, "first.test") + greet(peer, "second.test") + "} } }",
                  .binary = wrapper});
  test_client client(node);
  EXPECT_TRUE(client.get("/").body.starts_with("here\nsecond.test could not be resolved (")) ;
  folder.write("hosts", "127.0.0.1 first.test\n127.0.0.1 second.test\n");
  EXPECT_EQ(client.get("/").body, "here\nhere\n");
  EXPECT_EQ(node.stop(), 0);
}

}  // namespace troupe::tests
