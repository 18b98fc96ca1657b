// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/node_line.hpp"

#include <unistd.h>

#include <algorithm>

#include "net/query_args.hpp"
#include "net/uri.hpp"
#include "runtime/cluster_api.hpp"
#include "runtime/commands/link_way.hpp"

namespace troupe {
namespace {

admin_request request_of(std::string_view method, const std::string& target,
                         std::string_view body) {
  admin_request asked{.method = std::string(method), .path = {}, .query = {}, .body = std::string(body),
                      .peer = {getpid(), getuid()}};
  const std::size_t question = std::min(target.find('?'), target.size());
  net::unescape_uri(asked.path, std::string_view(target).substr(0, question), false);
  std::string_view rest = std::string_view(target).substr(std::min(question + 1, target.size()));
  for (net::query_arg pair; net::take_query_arg(rest, pair);) {
    std::string key;
    std::string value;
    net::unescape_uri(key, pair.key, true);
    net::unescape_uri(value, pair.value, true);
    if (!key.empty()) asked.query.insert_or_assign(std::move(key), std::move(value));
  }
  return asked;
}

// A node's paths, answered here from what its link says.
class link_line final : public node_line {
 public:
  explicit link_line(std::unique_ptr<cluster_way> way)
      : way_(std::move(way)),
        api_({.way = *way_, .name = {}, .watch_every = std::chrono::milliseconds(500)}) {}

  reply ask(std::string_view method, const std::string& target, std::string_view body) override {
    admin_response answer = api_.answer(request_of(method, target, body));
    return admin_client::reply{answer.status, std::move(answer.body)};
  }

  reply follow(std::string_view method, const std::string& target, std::string_view body,
               const std::function<bool(std::string_view line)>& on_line) override {
    const admin_response answer = api_.answer(request_of(method, target, body));
    if (!answer.stream) return admin_client::reply{answer.status, answer.body};
    answer.stream([&](std::string_view line) { return line.empty() || on_line(line); });
    return admin_client::reply{answer.status, {}};
  }

 private:
  std::unique_ptr<cluster_way> way_;
  cluster_api api_;
};

}  // namespace

tl::expected<std::unique_ptr<node_line>, diagnostic> open_link_line(
    const std::string& address, const std::string& key_folder,
    std::optional<admin_client::clock::time_point> deadline) {
  auto link = open_link(address, key_folder, deadline);
  if (!link) return tl::unexpected(link.error());
  return std::make_unique<link_line>(std::move(*link));
}

}  // namespace troupe
