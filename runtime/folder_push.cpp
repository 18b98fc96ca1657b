// SPDX-License-Identifier: Apache-2.0
#include "runtime/folder_push.hpp"

#include "runtime/cluster_documents.hpp"
#include "runtime/key_files.hpp"
#include "runtime/release_needs.hpp"

namespace troupe {
namespace {

constexpr std::chrono::minutes good_for{15};

std::string failed(std::string_view error, std::string_view reason) {
  return cluster_json{{"error", error}, {"reason", reason}}.dump(
      -1, ' ', false, cluster_json::error_handler_t::replace);
}

std::string_view error_of(const cluster::refusal& why) {
  return why.errc == cluster::refusal_errc::not_leader ? "no_controller" : "no_answer";
}

std::optional<unsigned> share(double percent) {
  if (!(percent >= 1 && percent <= 100)) return {};
  return static_cast<unsigned>(percent);
}

}  // namespace

std::string push_folder(cluster_way& way, const net::cluster_push& what,
                        const std::string& key_folder, const std::string& author,
                        const std::function<bool()>& goes_on) {
  const auto to = cluster::selector::parse(what.to);
  if (!to) return failed("bad_request", to.error().reason);
  const auto require = share(what.require_percent);
  if (!require) return failed("bad_request", "require is no share from 1 to 100");
  cluster::release_order body;
  body.to = *to;
  body.policy.require_percent = *require;
  if (what.canary_percent != 0) {
    const auto canary = share(what.canary_percent);
    if (!canary) return failed("bad_request", "canary is no share from 1 to 100");
    body.policy.canary_percent = *canary;
    body.policy.canary_watch =
        std::chrono::milliseconds(static_cast<std::int64_t>(what.watch_seconds * 1000));
    body.policy.stop_if = what.stop_if;
  }
  if (what.expect >= 0) body.expect = static_cast<std::uint32_t>(what.expect);

  app_contents contents;
  const auto files = read_app(what.path, contents);
  if (!files) {
    const diagnostic& why = files.error();
    return failed("check_failed", (why.file.empty() ? "" : why.file + ": ") + why.reason);
  }
  std::string manifest = files->encode();
  body.manifest = files->id();
  body.manifest_bytes = manifest.size();
  contents.insert_or_assign(body.manifest, std::move(manifest));
  std::vector<cluster::digest> names;
  for (const auto& [name, content] : contents) names.push_back(name);
  const auto missing = way.missing(std::move(names), cluster_way::usual_wait);
  if (!missing) return failed(error_of(missing.error()), missing.error().reason);
  for (const cluster::digest& each : *missing) {
    const auto found = contents.find(each);
    if (found == contents.end()) continue;
    if (auto done = way.put(each, found->second, cluster_way::usual_wait); !done) {
      return failed(error_of(done.error()), done.error().reason);
    }
  }

  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  cluster::order order;
  order.id = cluster::new_order_id();
  order.app = what.app.empty() ? "default" : what.app;
  order.author = author;
  order.message = what.message;
  order.time = now;
  order.expires = now + good_for;
  if (body.to.percent < 100) body.to.salt = cluster::text(order.id);
  order.body = std::move(body);
  const auto key = signing_key_in(key_folder);
  if (!key) return failed("denied", key.error().reason);
  std::string last = failed("no_answer", "the node stops; the push goes on");
  way.submit(*key ? cluster::signed_order::make(order, **key)
                  : cluster::signed_order::make_unsigned(order),
             [&](const cluster::progress* news) {
               if (news != nullptr && news->done) {
                 last = json_of(*news).dump(-1, ' ', false, cluster_json::error_handler_t::replace);
               }
               return goes_on();
             },
             cluster_way::usual_wait);
  return last;
}

}  // namespace troupe
