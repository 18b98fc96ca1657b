// SPDX-License-Identifier: Apache-2.0
//
// What a node does for each of its apps: fetches the contents of a release, has the host prepare or
// activate it, and says how that went. It does what the state asks for now, not what was asked on
// the way there: who was away loads the newest active release only.
//
// Apps do not wait for one another, and a host that never answers holds up nothing but its app's
// present step: the next order of the app is given to it all the same.
//
// Source   docs/cluster.md, "A push".
// Thread   cluster; the host's answers come from any and wait for tick().
// Errors   `refused` acknowledgements with the reason; trouble() has what stands.
// Called   by cluster/follower.
#pragma once

#include "cluster/blob_fetcher.hpp"
#include "cluster/cluster_state.hpp"
#include "cluster/host.hpp"
#include "cluster/log_function.hpp"

#include <memory>
#include <mutex>
#include <set>
#include <unordered_set>

namespace troupe::cluster {

class app_tasks {
 public:
  struct options {
    std::string name;
    label_map labels;
    log_function log;
    std::function<void()> wake;
    std::function<void(acknowledgement)> acknowledge;
    std::function<void()> on_gone;  ///< A content is gone: go to the head.
  };
  app_tasks(options how, blob_source& blobs, blob_fetcher& fetcher, host& runtime);
  ~app_tasks();

  /// An order for this node, about an app, has become part of the state.
  void note(const order& what, const change& in);
  /// Begins what the state asks for and is not done or under way.
  void reconcile(const cluster_state& state, instant now);
  /// Says again how far it got with a change that is part of the state.
  void acknowledge_again(const cluster_state& state, const order& what, const change& in);
  /// For the fetcher's `arrived`.
  void on_content(const digest& name, const tl::expected<void, refusal>& how);
  /// Takes the host's answers. @return whether there was one: reconcile() then.
  bool tick(instant now);
  [[nodiscard]] instant next_tick() const;

  [[nodiscard]] std::map<std::string, std::uint32_t> serving() const;
  [[nodiscard]] std::string trouble() const;
  /// Contents on their way or in the host's hands.
  void add_needed(std::unordered_set<digest>& to) const;

 private:
  enum class kind { prepare, activate };
  struct operation {
    kind what = kind::prepare;
    std::uint32_t release = 0;
    order_id push{};
    std::uint64_t seq = 0;  ///< Of the change that asks for it.
    std::uint64_t token = 0;
    digest manifest_name;
    std::uint64_t manifest_bytes = 0;
    bool is_with_host = false;
    manifest files;
    std::set<digest> lacking;
    instant begun;
  };
  struct answer {  ///< Of a step of a push, to be said again when asked.
    order_id push{};
    std::uint64_t seq = 0;
    std::uint32_t release = 0;
    std::optional<host::result> result;  ///< None: not yet.
  };
  struct task {
    std::uint32_t serving = 0;
    digest serving_manifest;  ///< Another history may have another release of that number.
    std::uint64_t serving_seq = 0;
    /// The host has an activation whose answer nobody waits for: what it serves is not known.
    bool is_unsure = false;
    std::optional<operation> now;
    std::optional<std::uint32_t> prepared;  ///< Held by the host beside the one that serves.
    order_id prepared_for{};
    std::optional<answer> prepare;
    std::optional<answer> activate;
    std::uint64_t failed_seq = 0;  ///< The activation that was refused.
    instant again;                 ///< And when to try it once more.
    std::string trouble;
  };
  struct inbox;

  void begin(const std::string& app, task& of, const app_state& state, operation what, instant now);
  void go_on(const std::string& app, task& of);
  void finish(const std::string& app, task& of, host::result how);
  static void is_well(task& of);
  void drop(task& of);
  void say(const answer& what, ack_step good);
  [[nodiscard]] bool is_mine(const selector& who) const {
    return who.matches(how_.name, how_.labels);
  }

  options how_;
  blob_source& blobs_;
  blob_fetcher& fetcher_;
  host& host_;
  std::map<std::string, task, std::less<>> tasks_;
  std::shared_ptr<inbox> inbox_;
  std::uint64_t tokens_ = 0;
  instant now_;
};

}  // namespace troupe::cluster
