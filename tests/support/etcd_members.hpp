// SPDX-License-Identifier: Apache-2.0
//
// Debian's etcd, one member or several, on data folders of their own and free ports of 127.0.0.1.
// Members can be killed, started again on their data, and restored from a backup.
//
// Thread   the test's.
// Errors   what does not work fails the test.
// Called   by tests/cluster.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/etcd_client.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace troupe::tests {

class etcd_members {
 public:
  /// @param has_tls  towards clients, who are asked for a certificate too.
  explicit etcd_members(std::size_t count = 1, bool has_tls = false) : has_tls_(has_tls) {
    if (has_tls) make_certificate();
    for (std::size_t i = 0; i < count; ++i) {
      members_.emplace_back();
      members_.back().data = folder_.path() / name(i);
    }
    for (std::size_t i = 0; i < count; ++i) start(i);
    wait();
  }

  /// As `--store` takes it.
  [[nodiscard]] std::string store() const {
    std::string result = has_tls_ ? "etcds://" : "etcd://";
    for (const member& one : members_) {
      if (result.back() != '/') result += ',';
      result += "127.0.0.1:" + std::to_string(one.client.number());
    }
    if (has_tls_) result += "?ca=" + file("cert") + "&cert=" + file("cert") + "&key=" + file("key");
    return result;
  }
  /// From now on only this user is let in, with this password.
  void want_user(const std::string& password) const {
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"user", "add", "root:" + password},
          std::vector<std::string>{"user", "grant-role", "root", "root"},
          std::vector<std::string>{"auth", "enable"}}) {
      std::vector<std::string> all{"--endpoints", url(members_[0].client)};
      all.insert(all.end(), words.begin(), words.end());
      const auto done = etcdctl(std::move(all));
      EXPECT_EQ(done.status, 0) << done.err;
    }
  }
  [[nodiscard]] cluster::etcd_address address() const {
    return *cluster::etcd_address::parse(store());
  }

  void kill(std::size_t i) {
    members_[i].running->signal(SIGKILL);
    members_[i].running->wait();
    members_[i].running.reset();
  }
  void pause(std::size_t i) const { members_[i].running->signal(SIGSTOP); }
  void go_on(std::size_t i) const { members_[i].running->signal(SIGCONT); }
  void start(std::size_t i) {
    member& one = members_[i];
    std::string all;
    for (std::size_t k = 0; k < members_.size(); ++k) {
      all += (k == 0 ? "" : ",") + name(k) + '=' + url(members_[k].peer);
    }
    const std::string clients = (has_tls_ ? "https" : "http") + url(one.client).substr(4);
    std::vector<std::string> words{"etcd",
                                   "--name",
                                   name(i),
                                   "--data-dir",
                                   one.data.string(),
                                   "--listen-client-urls",
                                   clients,
                                   "--advertise-client-urls",
                                   clients,
                                   "--listen-peer-urls",
                                   url(one.peer),
                                   "--initial-advertise-peer-urls",
                                   url(one.peer),
                                   "--initial-cluster",
                                   all,
                                   "--initial-cluster-token",
                                   "troupe-test"};
    if (has_tls_) {
      for (const char* word : {"--cert-file", "--trusted-ca-file"}) {
        words.emplace_back(word);
        words.push_back(file("cert"));
      }
      words.insert(words.end(), {"--key-file", file("key"), "--client-cert-auth"});
    }
    one.running = std::make_unique<process>(std::move(words));
  }
  /// Until a majority answers.
  void wait() const {
    cluster::etcd_client etcd(address());
    const auto answered = etcd.range("nothing", {}, 1, std::chrono::steady_clock::now() + patience);
    EXPECT_TRUE(answered) << answered.error().reason;
  }

  /// Of a single member.
  void back_up() const {
    const auto done = etcdctl({"--endpoints", url(members_[0].client), "snapshot", "save",
                               (folder_.path() / "backup").string()});
    EXPECT_EQ(done.status, 0) << done.err;
  }
  void restore() {
    kill(0);
    members_[0].data = folder_.path() / "restored";
    const auto done =
        etcdctl({"snapshot", "restore", (folder_.path() / "backup").string(), "--data-dir",
                 members_[0].data.string(), "--name", name(0), "--initial-cluster",
                 name(0) + '=' + url(members_[0].peer), "--initial-advertise-peer-urls",
                 url(members_[0].peer), "--initial-cluster-token", "troupe-test"});
    EXPECT_EQ(done.status, 0) << done.err;
    start(0);
    wait();
  }

 private:
  struct member {
    free_port client;
    free_port peer;
    std::filesystem::path data;
    std::unique_ptr<process> running;
  };
  void make_certificate() const {
    const auto made = run({"openssl",
                           "req",
                           "-x509",
                           "-newkey",
                           "ec",
                           "-pkeyopt",
                           "ec_paramgen_curve:P-256",
                           "-nodes",
                           "-days",
                           "2",
                           "-subj",
                           "/CN=etcd",
                           "-addext",
                           "subjectAltName=IP:127.0.0.1",
                           "-addext",
                           "extendedKeyUsage=serverAuth,clientAuth",
                           "-keyout",
                           file("key"),
                           "-out",
                           file("cert")});
    EXPECT_EQ(made.status, 0) << made.err;
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  static std::string name(std::size_t i) { return "m" + std::to_string(i); }
  static std::string url(const free_port& port) {
    return "http://127.0.0.1:" + std::to_string(port.number());
  }
  static finished etcdctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "etcdctl");
    return run(std::move(arguments), {.environment = {{"ETCDCTL_API", "3"}}});
  }

  bool has_tls_ = false;
  /// A member that waits long for its disk is none for its leader.
  temp_dir folder_{temp_dir::place::memory};
  std::vector<member> members_;
};

}  // namespace troupe::tests
