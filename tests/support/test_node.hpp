// SPDX-License-Identifier: Apache-2.0
//
// A node as a user starts it: the real binary on an app in a folder of its own, on free ports.
// Ready when the constructor returns; killed at the latest when the object ends.
//
// Source   docs/testing.md; the output that it relies on is `listening on http://ADDRESS:PORT`.
// Thread   the test's.
// Errors   a node that does not start fails the test, with what it wrote, unless the test expects
// it. Called   by tests/e2e.
#pragma once

#include "net/log.hpp"
#include "tests/support/endpoint.hpp"
#include "tests/support/free_port.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::tests {

using level = net::log_level;
inline const std::vector<std::string> no_lines;

struct test_node_options {
  int shards = 1;
  std::string conf = {};  ///< The inside of `http {}`. @port@, @port2@ … become free ports.
  std::string main = {};  ///< What stands outside of it.
  std::string events = {};
  std::vector<std::pair<std::string, std::string>> files =
      {};                               ///< Name and bytes, beside the conf.
  std::filesystem::path app = {};       ///< Instead of `conf`: a copy of this folder is served.
  std::vector<std::string> flags = {};  ///< Further words on the command line.
  std::vector<std::pair<std::string, std::string>> environment = {};
  std::string log_level = "info";
  /// As `BINARY -p PREFIX -c CONF`, into the background, instead of `BINARY run FOLDER`. There each
  /// `listen` needs a @port@.
  bool as_nginx = false;
  std::filesystem::path binary = {};  ///< Another than the one under test.
  bool starts = true;                 ///< false: it must refuse; see status() and log().
};

class test_node {
 public:
  explicit test_node(test_node_options options);
  ~test_node();
  test_node(const test_node&) = delete;
  test_node& operator=(const test_node&) = delete;

  /// Where the listener of the n-th `listen` directive is reached.
  [[nodiscard]] endpoint listener(std::size_t n = 0) const;
  [[nodiscard]] std::uint16_t port(std::size_t n = 0) const { return listener(n).port; }
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_.path(); }
  /// Its data folder.
  [[nodiscard]] std::filesystem::path data() const { return folder_.path() / "data"; }
  /// Writes a file of the app, ports filled in. nginx.conf in full.
  void edit(std::string_view name, std::string_view bytes);
  /// nginx.conf around the inside of `http {}`, as the node was started with.
  void edit_conf(std::string_view http);
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool is_running();

  void signal(int number) const;
  /// Asks it to leave and waits until it has. @return its exit status, 128 + the signal that ended
  /// it
  int stop(int number = SIGQUIT);
  /// Waits until it leaves by itself.
  int wait();

  [[nodiscard]] std::string out() const;  ///< stdout so far.
  /// The error log and stderr so far, as they are.
  [[nodiscard]] std::string log() const;
  /// The entries of this level and worse, without time and process: "[error] *1 … ". Lines that
  /// belong to an entry (a traceback) stay with it.
  [[nodiscard]] std::vector<std::string> log_lines(level least) const;
  /// Waits until the log holds `text`. @return false if it never came
  [[nodiscard]] bool logs(std::string_view text) const;

 private:
  void write_app();
  void start_in_foreground();
  void start_as_nginx();
  std::string with_ports(std::string text);

  test_node_options options_;
  temp_dir folder_;
  std::map<std::string, free_port> ports_;
  std::unique_ptr<process> process_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

/// Runs the binary under test with these words, until it ends by itself: `check`, `version`, `-t`.
finished run_troupe(std::vector<std::string> words, const process_options& options = {});

/// The binary under test: $TROUPE_TEST_BINARY, or the one of this build.
std::string binary_under_test();
/// The folder of the sources, for examples/.
std::filesystem::path source_folder();

}  // namespace troupe::tests
