// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/dns_peer.hpp"
#include "tests/support/temp_dir.hpp"

namespace troupe::net {
namespace {

using tests::dns_peer;
using tests::knows;

struct asker final : resolver::query {
  std::string said;
  void on_resolved(std::span<const address> addresses, std::string_view error) noexcept override {
    said = error.empty() ? addresses.front().host() : std::string(error);
  }
};

std::string ask(event_loop& loop, resolver& names, const std::string& name) {
  asker one;
  names.start(name, one, 20'000);
  while (one.said.empty()) loop.turn(100);
  return one.said;
}

resolver_settings system_of(const std::filesystem::path& file, const dns_peer& server) {
  resolver_settings settings;
  settings.ipv6 = false;
  settings.system_file = file.string();
  settings.system_port = server.port();
  return settings;
}

}  // namespace

TEST(resolver, of_the_system_searches_where_resolv_conf_says) {
  const tests::temp_dir folder;
  const auto file = folder.write("resolv.conf", "nameserver 127.0.0.1\nsearch first.test second.test\noptions ndots:2\n");
  const dns_peer server(knows("host.second.test", "127.0.0.8"));
  event_loop loop;
  resolver names(loop, system_of(file, server));
  EXPECT_EQ(ask(loop, names, "host"), "127.0.0.8");
  const std::vector<std::string> searched = {"host.first.test A", "host.second.test A"};
  EXPECT_EQ(server.asked(), searched);
  // Fewer dots than ndots: the list comes first, the name as it is last.
  EXPECT_EQ(ask(loop, names, "a.b"), "a.b could not be resolved (3: Host not found)");
  EXPECT_EQ(server.asked().back(), "a.b A");
  EXPECT_EQ(server.asked().size(), 5U);
}

TEST(resolver, of_the_system_reads_resolv_conf_again_when_it_changes) {
  const tests::temp_dir folder;
  const auto file = folder.write("resolv.conf", "nameserver 127.0.0.1\nsearch first.test\n");
  const dns_peer server([](const tests::dns_question& asked) {
    tests::dns_answer answer(asked);
    answer.add(asked.name, tests::dns_a, asked.name == "host.first.test" ? "127.0.0.1" : "127.0.0.2", 0);
    return std::vector<std::string>{answer.bytes()};
  });
  event_loop loop;
  resolver names(loop, system_of(file, server));
  EXPECT_EQ(ask(loop, names, "host"), "127.0.0.1");
  folder.write("resolv.conf", "nameserver 127.0.0.1\nsearch second.test\n");
  EXPECT_EQ(ask(loop, names, "host"), "127.0.0.2");
}

TEST(resolver, gives_families_alternately_and_addresses_of_one_in_turn) {
  const dns_peer server([](const tests::dns_question& asked) {
    tests::dns_answer answer(asked);
    if (asked.type == tests::dns_a) {
      answer.add("n.test", tests::dns_a, "127.0.0.1").add("n.test", tests::dns_a, "127.0.0.2");
    } else {
      answer.add("n.test", tests::dns_aaaa, "::1").add("n.test", tests::dns_aaaa, "::1");
    }
    return std::vector<std::string>{answer.bytes()};
  });
  event_loop loop;
  resolver_settings settings;
  settings.servers = server.address();
  resolver names(loop, settings);
  ask(loop, names, "n.test");
  const auto families = [&] {
    std::string all;
    for (const address& one : names.known("n.test")) all += one.family() == AF_INET ? '4' : '6';
    return all;
  };
  const auto first_v4 = [&] {
    for (const address& one : names.known("n.test")) {
      if (one.family() == AF_INET) return one.host();
    }
    return std::string();
  };
  const std::string seen = families();
  EXPECT_TRUE(seen == "4646" || seen == "6464") << seen;
  const std::string before = first_v4(), after = first_v4();
  EXPECT_NE(before, after);
  EXPECT_EQ(before, first_v4());
}

}  // namespace troupe::net
