// SPDX-License-Identifier: Apache-2.0
#include "cluster/etcd_log.hpp"

#include "tests/cluster/etcd_ends.hpp"
#include "tests/support/etcd_members.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

using texts = std::vector<std::string>;

TEST(etcd_address, names_members_and_a_prefix) {
  const auto whole = etcd_address::parse("etcd://a:2379,127.0.0.1:2380,[::1]:2381/one/two/");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->members, (texts{"http://a:2379", "http://127.0.0.1:2380", "http://[::1]:2381"}));
  EXPECT_EQ(whole->prefix, "one/two");
  EXPECT_EQ(etcd_address::parse("etcd://a:2379")->prefix, "troupe");
  for (const char* bad : {"", "a:2379", "etcd://", "etcd://a", "etcd://a:2379,", "redis://a:1",
                          "etcd://a@b:1", "etcd://a:@b:1", "etcd://a:%4@b:1", "etcd://a:1?ca=/ca",
                          "etcds://a:1?cert=/c", "etcds://a:1?file=/c", "etcds://a:1?ca="}) {
    EXPECT_FALSE(etcd_address::parse(bad)) << bad;
  }
}

TEST(etcd_address, names_a_user_and_files_of_certificates) {
  const auto whole =
      etcd_address::parse("etcds://one:p%40ss:@a:1,b:2/x?ca=/ca.pem&cert=/c%20c&key=/k");
  ASSERT_TRUE(whole) << whole.error().reason;
  EXPECT_EQ(whole->members, (texts{"https://a:1", "https://b:2"}));
  EXPECT_EQ(whole->user, "one");
  EXPECT_EQ(whole->password, "p@ss:");
  EXPECT_EQ(whole->prefix, "x");
  EXPECT_EQ(whole->authorities, "/ca.pem");
  EXPECT_EQ(whole->certificate, "/c c");
  EXPECT_EQ(whole->certificate_key, "/k");
  // Refusals are logged.
  EXPECT_EQ(etcd_address::parse("etcd://one:secret@a").error().reason.find("secret"),
            std::string::npos);
}

tl::expected<std::vector<etcd_entry>, refusal> ask(
    const std::string& store, std::chrono::milliseconds within = tests::patience) {
  etcd_client etcd(*etcd_address::parse(store));
  return etcd.range("key", {}, 1, std::chrono::steady_clock::now() + within);
}

TEST(etcd_client, is_let_in_by_a_password) {
  tests::etcd_members etcd;
  etcd.want_user("s3cret");
  const std::string hosts = etcd.store().substr(sizeof "etcd://" - 1);
  const auto let_in = ask("etcd://root:s3cret@" + hosts);
  EXPECT_TRUE(let_in) << let_in.error().reason;
  EXPECT_EQ(ask("etcd://root:wrong@" + hosts).error().errc, refusal_errc::denied);
  EXPECT_EQ(ask("etcd://" + hosts).error().errc, refusal_errc::denied);
  // A leader, too.
  etcd_end a(*etcd_address::parse("etcd://root:s3cret@" + hosts), "a");
  ASSERT_TRUE(a.lead());
  EXPECT_TRUE(a.append("one"));
}

TEST(etcd_client, speaks_tls_and_shows_a_certificate) {
  tests::etcd_members etcd(1, true);
  const auto let_in = ask(etcd.store());
  EXPECT_TRUE(let_in) << let_in.error().reason;
  const std::string hosts = etcd.store().substr(sizeof "etcds://" - 1);
  const std::string plain = hosts.substr(0, hosts.find('?'));
  // Its certificate is of no authority that the system knows; and it speaks no plain HTTP.
  for (const std::string scheme : {"etcds://", "etcd://"}) {
    EXPECT_EQ(ask(scheme + plain, std::chrono::seconds(1)).error().errc, refusal_errc::io)
        << scheme;
  }
}

TEST(etcd_log, is_read_by_the_next_leader_as_it_was_written) {
  tests::etcd_members etcd;
  position at;
  const std::string all_bytes = [] {
    std::string result;
    for (int i = 0; i < 256; ++i) result += static_cast<char>(i);
    return result;
  }();
  {
    etcd_end a(etcd.address(), "a");
    ASSERT_TRUE(a.lead());
    EXPECT_EQ(a.epoch, 1u);
    EXPECT_EQ(a.log->head(), position());
    ASSERT_TRUE(a.append("one"));
    ASSERT_TRUE(a.append(all_bytes));
    at = a.log->head();
    EXPECT_EQ(at.seq, 2u);
    EXPECT_EQ(a.office.leader()->address, "a:7000");
  }
  etcd_end b(etcd.address(), "b");
  ASSERT_TRUE(b.lead());
  EXPECT_EQ(b.epoch, 2u);
  EXPECT_EQ(b.log->head(), at);
  EXPECT_EQ(b.texts(), (texts{"one", all_bytes}));
  ASSERT_TRUE(b.append("three"));
  EXPECT_EQ(b.log->head().epoch, 2u);
}

TEST(etcd_log, refuses_what_does_not_follow_and_goes_on) {
  tests::etcd_members etcd;
  etcd_end a(etcd.address(), "a");
  ASSERT_TRUE(a.lead());
  ASSERT_TRUE(a.append("one"));
  change wrong = a.next("two");
  ++wrong.seq;
  const auto refused = a.append(wrong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc, refusal_errc::conflict);
  // More than etcd takes.
  const auto long_one = a.append(std::string(3 << 20, 'x'));
  ASSERT_FALSE(long_one);
  EXPECT_EQ(long_one.error().errc, refusal_errc::too_large) << long_one.error().reason;
  ASSERT_TRUE(a.append("two"));
  EXPECT_EQ(a.texts(), (texts{"one", "two"}));
}

TEST(etcd_log, refuses_a_second_leader_whatever_it_believes) {
  tests::etcd_members etcd;
  etcd_end a(etcd.address(), "a");
  ASSERT_TRUE(a.lead());
  ASSERT_TRUE(a.append("one"));
  // One with a key of its own making, and one that took the right one's name.
  for (const bool is_same_revision : {false, true}) {
    leader_fence fence = a.office.held()->fence;
    if (is_same_revision) {
      fence.value = leader_record{"b", "b:7000", 1, "nonce"}.encode();
    } else {
      ++fence.create_revision;
    }
    etcd_log other({.store = etcd.address(),
                    .fence = fence,
                    .valid_until = [] { return std::chrono::steady_clock::time_point::max(); },
                    .wake = {},
                    .log = {}});
    ASSERT_TRUE(wait_until([&] {
      other.poll();
      return other.loaded().has_value();
    }));
    std::optional<tl::expected<void, refusal>> result;
    other.append(a.next("of another"), [&](const auto& said) { result = said; });
    ASSERT_TRUE(wait_until([&] {
      other.poll();
      return result.has_value();
    }));
    ASSERT_FALSE(*result);
    EXPECT_EQ(result->error().errc, refusal_errc::not_leader);
  }
  ASSERT_TRUE(a.append("two"));
  EXPECT_EQ(a.texts(), (texts{"one", "two"}));
}

TEST(etcd_log, refuses_a_leader_that_was_paused_for_longer_than_its_lease) {
  tests::etcd_members etcd;
  int to_child[2];
  int from_child[2];
  ASSERT_EQ(pipe(to_child), 0);
  ASSERT_EQ(pipe(from_child), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // It never looks at the clock: nothing but etcd's compare can stop it.
    etcd_end a(etcd.address(), "a", std::chrono::seconds(2));
    char said = a.lead(false) && a.append("one") ? 'y' : 'n';
    static_cast<void>(write(from_child[1], &said, 1));
    char word = 0;
    static_cast<void>(read(to_child[0], &word, 1));
    const auto late = a.append("late");
    said = late ? 'y' : late.error().errc == refusal_errc::not_leader ? 'l' : 'n';
    static_cast<void>(write(from_child[1], &said, 1));
    _exit(0);
  }
  char said = 0;
  ASSERT_EQ(read(from_child[0], &said, 1), 1);
  EXPECT_EQ(said, 'y');
  kill(child, SIGSTOP);
  etcd_end b(etcd.address(), "b");
  EXPECT_TRUE(b.lead());
  EXPECT_TRUE(b.append("two"));
  kill(child, SIGCONT);
  ASSERT_EQ(write(to_child[1], "g", 1), 1);
  ASSERT_EQ(read(from_child[0], &said, 1), 1);
  EXPECT_EQ(said, 'l');
  EXPECT_TRUE(b.append("three"));
  EXPECT_EQ(b.texts(), (texts{"one", "two", "three"}));
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  for (const int fd : {to_child[0], to_child[1], from_child[0], from_child[1]}) close(fd);
}

TEST(etcd_log, takes_nothing_before_the_lease_ends_without_etcd) {
  tests::etcd_members etcd;
  etcd_end a(etcd.address(), "a", std::chrono::seconds(3));
  ASSERT_TRUE(a.lead());
  ASSERT_TRUE(a.append("one"));
  etcd.pause(0);
  ASSERT_TRUE(wait_until([&] { return !a.office.held(); }));
  const auto refused = a.append("two");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc, refusal_errc::not_leader);
  etcd.go_on(0);
  // The same node again, as a new leader.
  ASSERT_TRUE(a.lead());
  EXPECT_EQ(a.epoch, 2u);
  EXPECT_EQ(a.texts(), (texts{"one"}));
  ASSERT_TRUE(a.append("two"));
}

TEST(etcd_log, is_not_appended_to_by_who_led_before_etcd_was_restored_from_a_backup) {
  tests::etcd_members etcd;
  etcd_end a(etcd.address(), "a");
  ASSERT_TRUE(a.lead(false));
  ASSERT_TRUE(a.append("one"));
  // Without it in the backup, the next leader's key could have the same revision.
  a.office.resign();
  {
    etcd_end idle(etcd.address(), "idle");
    ASSERT_TRUE(wait_until([&] { return a.office.problem().empty() && !a.office.held(); }));
    ASSERT_TRUE(idle.lead());
  }
  etcd.back_up();
  ASSERT_TRUE(a.lead(false));
  const auto first = a.office.held();
  ASSERT_TRUE(first);
  ASSERT_TRUE(a.append("gone"));
  const std::uint64_t seen = a.epoch;
  etcd.restore();
  // a appends on, with the key that it remembers.
  const auto refused = a.append("after");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errc, refusal_errc::not_leader);
  ASSERT_TRUE(wait_until([&] { return a.office.held() != first; }));
  a.office.resign();
  // Epochs do not go back for nodes that have seen a higher one.
  etcd_end b(etcd.address(), "b");
  ASSERT_TRUE(b.lead(true, seen));
  EXPECT_GT(b.epoch, seen);
  EXPECT_EQ(b.texts(), (texts{"one"}));
  ASSERT_TRUE(b.append("two"));
}

TEST(etcd_log, is_cut_by_snapshots_of_any_size) {
  tests::etcd_members etcd;
  const std::string big(1'300'000, 's');
  {
    etcd_end a(etcd.address(), "a");
    ASSERT_TRUE(a.lead());
    position second;
    position fourth;
    for (int i = 1; i <= 6; ++i) {
      ASSERT_TRUE(a.append(std::to_string(i)));
      if (i == 2) second = a.log->head();
      if (i == 4) fourth = a.log->head();
    }
    ASSERT_TRUE(a.log->keep_snapshot(second, "second"));
    ASSERT_TRUE(a.log->keep_snapshot(fourth, big));
    EXPECT_EQ(a.texts(), (texts{"3", "4", "5", "6"}));
    ASSERT_TRUE(a.append("7"));  // and so the snapshots are in etcd too
  }
  etcd_end b(etcd.address(), "b");
  ASSERT_TRUE(b.lead());
  ASSERT_TRUE(*b.log->loaded()) << b.log->loaded()->error().reason;
  EXPECT_EQ(b.log->begins_after(), 2u);
  EXPECT_EQ(b.texts(), (texts{"3", "4", "5", "6", "7"}));
  EXPECT_EQ(b.log->snapshot()->value(), big);
  EXPECT_EQ(b.log->read(1, 1).error().errc, refusal_errc::missing);
}

tl::expected<void, refusal> begin(const etcd_end& at, const position& base,
                                  const std::vector<change>& since) {
  std::optional<tl::expected<void, refusal>> result;
  at.log->begin_with(base, "a state", since, [&](const auto& said) { result = said; });
  const bool is_answered = wait_until([&] {
    at.log->poll();
    return result.has_value();
  });
  if (!is_answered) return tl::unexpected(refusal{refusal_errc::io, "no answer", {}});
  return *result;
}

TEST(etcd_log, begins_with_what_a_cluster_had_before_but_never_twice) {
  tests::etcd_members etcd;
  const position base{3, 40, digest::of("had")};
  std::vector<change> since;
  texts words;
  position at = base;
  for (int i = 0; i < 150; ++i) {  // more than etcd takes at once
    change next;
    next.epoch = 3;
    next.seq = at.seq + 1;
    next.parent = at.state;
    next.ordered.bytes = std::to_string(i);
    at = next.after();
    words.push_back(next.ordered.bytes);
    since.push_back(std::move(next));
  }
  {
    // What one that began and was killed has left.
    etcd_client raw(etcd.address());
    const etcd_keys keys{etcd.address().prefix};
    using what = etcd_operation::what;
    ASSERT_TRUE(raw.transact({},
                             {{what::put, keys.change(1), "rest"},
                              {what::put, keys.change(999), "rest"},
                              {what::put, keys.piece(7, 0), "rest"}},
                             {}, std::chrono::steady_clock::now() + tests::patience));
  }
  {
    etcd_end a(etcd.address(), "a");
    ASSERT_TRUE(a.lead(true, base.epoch));
    ASSERT_TRUE(*a.log->loaded()) << a.log->loaded()->error().reason;
    EXPECT_EQ(a.log->head(), position());
    const auto begun = begin(a, base, since);
    ASSERT_TRUE(begun) << begun.error().reason;
    EXPECT_EQ(a.log->head(), at);
    EXPECT_EQ(a.epoch, 4u);
    ASSERT_TRUE(a.append("next"));
    words.emplace_back("next");
    EXPECT_FALSE(begin(a, {9, 9, digest::of("x")}, {}));
  }
  etcd_end b(etcd.address(), "b");
  ASSERT_TRUE(b.lead());
  ASSERT_TRUE(*b.log->loaded()) << b.log->loaded()->error().reason;
  EXPECT_EQ(b.log->begins_after(), base.seq);
  EXPECT_EQ(b.log->snapshot()->value(), "a state");
  EXPECT_EQ(b.texts(), words);
}

TEST(etcd_log, loses_nothing_acknowledged_when_one_of_three_members_is_killed) {
  tests::etcd_members etcd(3);
  constexpr int count = 60;
  texts acknowledged;
  {
    etcd_end a(etcd.address(), "a");
    ASSERT_TRUE(a.lead());
    for (int i = 0; i < count; ++i) {
      // Each of them in turn, one of which leads the others; in the middle of an append.
      const std::string text = "change " + std::to_string(i);
      std::optional<tl::expected<void, refusal>> result;
      a.log->append(a.next(text), [&](const auto& said) { result = said; });
      if (i % 20 == 10) etcd.kill(static_cast<std::size_t>(i / 20));
      ASSERT_TRUE(wait_until([&] {
        a.log->poll();
        return result.has_value();
      }));
      ASSERT_TRUE(*result) << text << ": " << result->error().reason;
      acknowledged.push_back(text);
      if (i % 20 == 19) {
        etcd.start(static_cast<std::size_t>(i / 20));
        etcd.wait();
      }
    }
  }
  etcd_end b(etcd.address(), "b");
  ASSERT_TRUE(b.lead());
  EXPECT_EQ(b.texts(), acknowledged);
}

}  // namespace
}  // namespace troupe::cluster
