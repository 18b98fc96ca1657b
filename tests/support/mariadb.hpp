// SPDX-License-Identifier: Apache-2.0
//
// Debian's mariadbd on a data folder of its own, with a Unix socket and a free port. It can be
// killed and started again on the same data.
//
// Thread   the test's.
// Errors   what does not work fails the test.
// Called   by tests/e2e.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/real_peer.hpp"
#include "tests/support/temp_dir.hpp"

namespace troupe::tests {

class mariadb {
 public:
  mariadb() {
    std::vector<std::string> command{"mariadb-install-db", "--no-defaults", "--skip-test-db",
                                     "--auth-root-authentication-method=normal"};
    add_common(command);
    const finished made = run(command);
    EXPECT_EQ(made.status, 0) << made.out << made.err;
    start();
  }

  void start() {
    server_ = std::make_unique<real_peer>([&](const std::string& port) {
      // Not in everybody's PATH.
      std::vector<std::string> command{"/usr/sbin/mariadbd",
                                       "--no-defaults",
                                       "--bind-address=127.0.0.1",
                                       "--port=" + port,
                                       "--socket=" + socket().string(),
                                       "--innodb-buffer-pool-size=8M"};
      add_common(command);
      return command;
    });
  }
  /// Ends it as a crash would.
  void kill() { server_.reset(); }

  [[nodiscard]] std::filesystem::path socket() const { return folder_.path() / "socket"; }
  [[nodiscard]] std::uint16_t port() const { return server_->address().port; }

  /// What the administrator's client prints for these statements.
  std::string sql(const std::string& statements, const std::string& database = {}) const {
    std::vector<std::string> command{"mariadb",
                                     "--no-defaults",
                                     "--user=root",
                                     "--skip-column-names",
                                     "--batch",
                                     "--socket=" + socket().string(),
                                     "--execute=" + statements};
    if (!database.empty()) command.push_back(database);
    const finished done = run(command);
    EXPECT_EQ(done.status, 0) << statements << "\n" << done.err;
    return done.out;
  }

 private:
  void add_common(std::vector<std::string>& command) const {
    command.push_back("--datadir=" + (folder_.path() / "data").string());
    command.push_back("--innodb-log-file-size=4M");
    if (::getuid() == 0) command.push_back("--user=root");
  }

  temp_dir folder_;
  std::unique_ptr<real_peer> server_;
};

}  // namespace troupe::tests
