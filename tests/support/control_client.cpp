// SPDX-License-Identifier: Apache-2.0
#include "tests/support/control_client.hpp"

#include "cluster/bundle.hpp"

namespace troupe::tests {
namespace {

cluster::manifest manifest_of(const app_files& app) {
  cluster::manifest files;
  for (const auto& [path, content] : app) {
    files.files.push_back({.path = path,
                           .executable = path.starts_with("bin/"),
                           .size = content.size(),
                           .content = cluster::digest::of(content)});
  }
  files.sort();
  return files;
}

}  // namespace

std::string bundle_of(const app_files& app, std::vector<std::string> needs) {
  cluster::bundle sent{.files = manifest_of(app), .contents = {}};
  sent.files.needs = std::move(needs);
  for (const auto& [path, content] : app) {
    sent.contents.insert_or_assign(cluster::digest::of(content), content);
  }
  return sent.encode();
}

std::string digest_of(const app_files& app) {
  return manifest_of(app).id().text();
}

control_client::control_client(const std::filesystem::path& data_folder)
    : where_{.unix_path = (data_folder / "control.sock").string()}, client_(where_) {}

control_client::answer control_client::ask(std::string_view method, std::string_view target,
                                           std::string_view body) {
  const response got = client_.request(method, target, body);
  return {got.status, nlohmann::json::parse(got.body, nullptr, false)};
}

control_client::answer control_client::apply(const app_files& app, const std::string& query) {
  return ask("POST", "/v1/releases?" + query, bundle_of(app));
}

control_client::answer control_client::rollback(int to) {
  return ask("POST", "/v1/rollback?to=" + std::to_string(to));
}

}  // namespace troupe::tests
