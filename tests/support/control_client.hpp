// SPDX-License-Identifier: Apache-2.0
//
// A node's control socket, spoken to without the command line: many small questions are asked as
// fast as the node answers them.
//
// Source   docs/admin-api.md.
// Thread   the test's.
// Errors   an answer with status 0.
// Called   by tests/e2e.
#pragma once

#include "tests/support/test_client.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <vector>
#include <string_view>

namespace troupe::tests {

/// The files of an app by path; what lies in bin/ is executable.
using app_files = std::map<std::string, std::string>;

/// What `apply` sends: docs/architecture.md, "Releases as bytes".
std::string bundle_of(const app_files& app, std::vector<std::string> needs = {});
/// The digest of a release, "sha256:…".
std::string digest_of(const app_files& app);

class control_client {
 public:
  struct answer {
    int status = 0;
    nlohmann::json body;
  };

  explicit control_client(const std::filesystem::path& data_folder);

  answer ask(std::string_view method, std::string_view target, std::string_view body = {});
  /// @param query  "author=ann&expect=3"
  answer apply(const app_files& app, const std::string& query = {});
  answer rollback(int to);

  [[nodiscard]] const endpoint& where() const noexcept { return where_; }

 private:
  endpoint where_;
  test_client client_;
};

}  // namespace troupe::tests
