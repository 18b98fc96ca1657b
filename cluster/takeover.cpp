// SPDX-License-Identifier: Apache-2.0
#include "cluster/takeover.hpp"

#include "cluster/membership.hpp"

#include <algorithm>
#include <set>

namespace troupe::cluster {

namespace {

/// For a node that may have gone to another address meanwhile; there are others as far.
constexpr std::chrono::milliseconds each_wait{1'500};

}  // namespace

struct takeover::impl : upper_link {
  impl(options given, follower& node, lower_links& links, instant now)
      : how(std::move(given)), own(node), lower(links), phase_ends(now + how.listen) {}

  options how;
  follower& own;
  lower_links& lower;
  instant phase_ends;
  instant fetch_ends{};
  bool is_listening = true;
  std::string source;            ///< Whose history is being taken.
  std::set<std::string> failed;  ///< Further than ours, and silent.
  membership members;
  std::optional<outcome> result;

  /// What the follower asks goes to the node whose history it takes.
  void send(const message& what) override {
    const membership::node* from = members.find(source);
    if (from == nullptr) return;
    const bool is_question = std::holds_alternative<fetch_changes>(what) ||
                             std::holds_alternative<fetch_snapshot>(what) ||
                             std::holds_alternative<fetch_blob>(what) ||
                             std::holds_alternative<fetch_blobs>(what);
    if (is_question) lower.send(from->via, what);
  }
  void connect_anew() override {}

  void next_source(instant now) {
    if (fetch_ends == instant()) fetch_ends = now + how.fetch;
    const membership::node* furthest = nullptr;
    for (const auto& [name, one] : members.all()) {
      if (failed.contains(name) || !own.state().at().is_before(one.report.at)) continue;
      if (furthest == nullptr || furthest->report.at.is_before(one.report.at)) furthest = &one;
    }
    if (furthest == nullptr || now >= fetch_ends) {
      for (const auto& [name, one] : members.all()) {
        if (own.state().at().is_before(one.report.at)) failed.insert(name);
      }
      finish();
      return;
    }
    source = furthest->report.name;
    phase_ends = std::min(fetch_ends, now + each_wait);
    own.on_link(true, now);
  }

  void finish() {
    outcome done;
    for (const auto& [name, one] : members.all()) done.reached.push_back(name);
    done.unreachable.assign(failed.begin(), failed.end());
    result = std::move(done);
    own.on_link(false, phase_ends);
  }
};

takeover::takeover(options how, follower& own, lower_links& lower, instant now)
    : impl_(std::make_unique<impl>(std::move(how), own, lower, now)) {}
takeover::~takeover() = default;

upper_link& takeover::link() noexcept {
  return *impl_;
}

void takeover::on_message(const peer_id& from, const message& what, instant now) {
  impl& self = *impl_;
  if (self.result) return;
  if (const auto* greeting = std::get_if<hello>(&what)) {
    self.members.hear(greeting->who, from, now, {});
  } else if (const auto* report = std::get_if<beat>(&what)) {
    for (const node_report& one : report->nodes) self.members.hear(one, from, now, {});
  } else if (std::holds_alternative<changes>(what) ||
             std::holds_alternative<snapshot_piece>(what) ||
             std::holds_alternative<blob_piece>(what) ||
             std::holds_alternative<blob_pieces>(what)) {
    const membership::node* source = self.members.find(self.source);
    if (source != nullptr && source->via == from) self.own.on_message(what, now);
  }
}

void takeover::tick(instant now) {
  impl& self = *impl_;
  if (self.result) return;
  if (self.is_listening) {
    if (now < self.phase_ends) return;
    self.is_listening = false;
    self.next_source(now);
    return;
  }
  const membership::node* source = self.members.find(self.source);
  const bool has_it = source == nullptr || !self.own.state().at().is_before(source->report.at);
  if (has_it) {
    self.next_source(now);
  } else if (now >= self.phase_ends) {
    self.failed.insert(self.source);
    if (self.how.log) {
      self.how.log(log_level::warn, "cluster: " + self.source + " is further and does not answer");
    }
    self.next_source(now);
  }
}

instant takeover::next_tick() const {
  return impl_->result ? instant::max() : impl_->phase_ends;
}

const std::optional<takeover::outcome>& takeover::done() const noexcept {
  return impl_->result;
}

}  // namespace troupe::cluster
