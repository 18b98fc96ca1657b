// SPDX-License-Identifier: Apache-2.0
#include "cluster/app_tasks.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

/// A disk that was full may have room again, a port may be free.
constexpr auto activation_again = 2s;
/// A host that has not answered for so long is given the next order.
constexpr auto activation_hangs = 10s;
/// After that whoever lists nodes is told.
constexpr auto loads_long = 3s;

/// The newest activation that is for a node.
const activation* newest_for(const app_state& app, const std::string& node,
                             const label_map& labels) {
  for (auto at = app.active.rbegin(); at != app.active.rend(); ++at) {
    if (at->to.matches(node, labels)) return &*at;
  }
  return nullptr;
}

/// Whether this is the release of that number, as far as the history says.
bool is_release(const app_state& app, std::uint32_t number, const digest& manifest) {
  const auto found = app.releases.find(number);
  return found == app.releases.end() || found->second.manifest == manifest;
}

}  // namespace

/// The host's answers, from any thread.
struct app_tasks::inbox {
  struct letter {
    std::string app;
    std::uint64_t token = 0;
    host::result result;
  };
  std::mutex lock;
  std::vector<letter> letters;
};

app_tasks::app_tasks(options how, blob_source& blobs, blob_fetcher& fetcher, host& runtime)
    : how_(std::move(how)),
      blobs_(blobs),
      fetcher_(fetcher),
      host_(runtime),
      inbox_(std::make_shared<inbox>()) {}

app_tasks::~app_tasks() = default;

void app_tasks::note(const order& what, const change& in) {
  task& of = tasks_[what.app];
  if (const auto* activate = std::get_if<activate_order>(&what.body)) {
    if (!is_mine(activate->to)) return;
    of.activate = answer{activate->push, in.seq, activate->release, std::nullopt};
    return;
  }
  const auto* release = std::get_if<release_order>(&what.body);
  const auto* rollback = std::get_if<rollback_order>(&what.body);
  if (release != nullptr && is_mine(release->to)) {
    of.prepare = answer{what.id, in.seq, in.release, std::nullopt};
  } else if (rollback != nullptr && is_mine(rollback->to)) {
    of.prepare = answer{what.id, in.seq, rollback->release, std::nullopt};
  }
}

void app_tasks::say(const answer& what, ack_step good) {
  if (!what.result) return;
  acknowledgement ack;
  ack.node = how_.name;
  ack.push = what.push;
  ack.seq = what.seq;
  ack.step = what.result->refused.empty() ? good : ack_step::refused;
  ack.reason = what.result->refused;
  ack.took_ms = what.result->took_ms;
  how_.acknowledge(std::move(ack));
}

/// An activation that failed before may be the one to do again, in another history.
void app_tasks::is_well(task& of) {
  of.trouble.clear();
  of.failed_seq = 0;
}

/// Whoever begins something else for the app instead calls this before.
void app_tasks::drop(task& of) {
  // The host does what it was given, in turn, even if nobody wants it any more.
  if (of.now->is_with_host && of.now->what == kind::activate) of.is_unsure = true;
  of.now.reset();
}

void app_tasks::reconcile(const cluster_state& state, instant now) {
  now_ = now;
  for (auto& [app, of] : tasks_) {
    // Of a history that this is not any more.
    if (state.apps().contains(app)) continue;
    if (of.now) drop(of);
    is_well(of);
  }
  for (const auto& entry : state.apps()) {
    const std::string& app = entry.first;
    const auto& wanted = entry.second;  // By name: clang 14 captures no structured bindings.
    task& of = tasks_[app];
    const activation* active = newest_for(wanted, how_.name, how_.labels);
    const auto is_active = [&](std::uint32_t release, const digest& manifest) {
      return active != nullptr && active->release == release &&
             is_release(wanted, release, manifest);
    };
    if (of.now && of.now->what == kind::activate &&
        !is_active(of.now->release, of.now->manifest_name)) {
      drop(of);
    }
    if (!of.is_unsure && is_active(of.serving, of.serving_manifest)) {
      if (of.activate && !of.activate->result && of.activate->release == of.serving) {
        of.activate->result = host::result{};
        say(*of.activate, ack_step::active);
      }
      of.serving_seq = active->seq;
      is_well(of);
    } else if (active != nullptr) {
      const bool is_under_way = of.now && of.now->what == kind::activate;
      const bool has_failed = of.failed_seq == active->seq && now < of.again;
      const bool hangs = is_under_way && wanted.under_way && now - of.now->begun > activation_hangs;
      if (hangs) {
        of.failed_seq = active->seq;
        of.again = now + activation_again;
        of.trouble = app + ": release " + std::to_string(active->release) + " hangs";
        drop(of);
      } else if (!is_under_way && !has_failed) {
        operation next;
        next.what = kind::activate;
        next.release = active->release;
        next.seq = active->seq;
        begin(app, of, wanted, std::move(next), now);
      }
      // One that was refused does not hold up the push that may mend it.
      if (!hangs && !has_failed) continue;
    }
    const auto& push = wanted.under_way;
    const bool is_to_prepare = push && push->step == push_step::preparing && is_mine(push->to);
    // What was prepared for a push that is over, or the one before it, is not needed.
    if (of.prepared && !(push && push->id == of.prepared_for)) {
      host_.forget(app, *of.prepared);
      of.prepared.reset();
    }
    if (of.now && of.now->what == kind::prepare && !(is_to_prepare && push->id == of.now->push)) {
      if (of.now->is_with_host) host_.forget(app, of.now->release);
      of.now.reset();
    }
    if (!is_to_prepare || of.now) continue;
    if (!of.prepare || of.prepare->push != push->id) {
      // Its change was in a snapshot.
      of.prepare = answer{push->id, push->seq, push->release, std::nullopt};
    }
    if (of.prepare->result) continue;
    operation next;
    next.what = kind::prepare;
    next.release = push->release;
    next.push = push->id;
    next.seq = push->seq;
    begin(app, of, wanted, std::move(next), now);
  }
}

void app_tasks::begin(const std::string& app, task& of, const app_state& state, operation what,
                      instant now) {
  what.token = ++tokens_;
  what.begun = now;
  const auto info = state.releases.find(what.release);
  if (info != state.releases.end()) {
    what.manifest_name = info->second.manifest;
    what.manifest_bytes = info->second.manifest_bytes;
  }
  of.now = std::move(what);
  if (info == state.releases.end()) {
    finish(app, of, {"release " + std::to_string(of.now->release) + " is not in the history", 0});
    return;
  }
  go_on(app, of);
}

void app_tasks::go_on(const std::string& app, task& of) {
  operation& now = *of.now;
  if (!blobs_.has(now.manifest_name)) {
    now.lacking.insert(now.manifest_name);
    fetcher_.want(now.manifest_name, now.manifest_bytes, now_);
    return;
  }
  if (now.files.files.empty()) {
    const auto bytes = blobs_.get(now.manifest_name);
    if (!bytes) return finish(app, of, {bytes.error().reason, 0});
    auto files = manifest::decode(*bytes);
    if (!files) return finish(app, of, {files.error().reason, 0});
    now.files = *std::move(files);
  }
  for (const manifest_file& file : now.files.files) {
    if (blobs_.has(file.content)) continue;
    now.lacking.insert(file.content);
    fetcher_.want(file.content, file.size, now_);
  }
  if (!now.lacking.empty()) return;
  // On the disk before this node says that it is ready: after a power cut it serves the release
  // still.
  if (auto synced = blobs_.flush(); !synced) return finish(app, of, {synced.error().reason, 0});
  now.is_with_host = true;
  auto then = [box = inbox_, wake = how_.wake, app, token = now.token](host::result result) {
    {
      const std::lock_guard guard(box->lock);
      box->letters.push_back({app, token, std::move(result)});
    }
    if (wake) wake();
  };
  if (now.what == kind::prepare) {
    of.prepared.reset();  // a second one takes its place
    host_.prepare(app, now.release, now.files, std::move(then));
  } else {
    host_.activate(app, now.release, now.files, std::move(then));
  }
}

void app_tasks::finish(const std::string& app, task& of, host::result how) {
  const operation done = *std::move(of.now);
  of.now.reset();
  const bool is_good = how.refused.empty();
  if (!is_good) {
    how_.log(log_level::error, "cluster: release " + std::to_string(done.release) + " of \"" + app +
                                   (done.what == kind::prepare ? "\" cannot be prepared: "
                                                               : "\" cannot be activated: ") +
                                   how.refused);
  }
  if (done.what == kind::prepare) {
    if (is_good) {
      of.prepared = done.release;
      of.prepared_for = done.push;
    }
    if (!of.prepare || of.prepare->push != done.push) return;
    of.prepare->result = std::move(how);
    say(*of.prepare, ack_step::ready);
    return;
  }
  if (is_good) {
    of.serving = done.release;
    of.serving_manifest = done.manifest_name;
    of.serving_seq = done.seq;
    of.is_unsure = false;  // what it was given before is done
    of.prepared.reset();
    is_well(of);
  } else {
    of.failed_seq = done.seq;
    of.again = now_ + activation_again;
    of.trouble = app + ": release " + std::to_string(done.release) + ": " + how.refused;
  }
  if (!of.activate || of.activate->release != done.release) return;
  of.activate->result = std::move(how);
  say(*of.activate, ack_step::active);
}

void app_tasks::acknowledge_again(const cluster_state& state, const order& what, const change& in) {
  const auto found = tasks_.find(what.app);
  if (found == tasks_.end()) return;
  task& of = found->second;
  if (std::holds_alternative<activate_order>(what.body)) {
    if (of.activate && of.activate->seq == in.seq) return say(*of.activate, ack_step::active);
    const auto& body = std::get<activate_order>(what.body);
    const auto app = state.apps().find(what.app);
    // It was in a snapshot, or the node was started since.
    if (!is_mine(body.to) || app == state.apps().end()) return;
    of.activate = answer{body.push, in.seq, body.release, std::nullopt};
    const bool serves = !of.is_unsure && of.serving == body.release &&
                        is_release(app->second, body.release, of.serving_manifest);
    if (serves) of.activate->result = host::result{};
    say(*of.activate, ack_step::active);
  } else if (of.prepare && of.prepare->seq == in.seq) {
    say(*of.prepare, ack_step::ready);
  }
}

void app_tasks::on_content(const digest& name, const tl::expected<void, refusal>& how) {
  bool is_gone = false;
  for (auto& [app, of] : tasks_) {
    if (!of.now || of.now->lacking.erase(name) == 0) continue;
    if (!how) {
      is_gone = is_gone || how.error().errc == refusal_errc::missing;
      finish(app, of, {how.error().reason, 0});
    } else if (of.now->lacking.empty()) {
      go_on(app, of);
    }
  }
  if (is_gone) how_.on_gone();
}

bool app_tasks::tick(instant now) {
  now_ = now;
  std::vector<inbox::letter> letters;
  {
    const std::lock_guard guard(inbox_->lock);
    letters.swap(inbox_->letters);
  }
  bool is_due = false;
  for (inbox::letter& letter : letters) {
    task& of = tasks_[letter.app];
    if (!of.now || of.now->token != letter.token) continue;
    finish(letter.app, of, std::move(letter.result));
    is_due = true;
  }
  for (auto& [app, of] : tasks_) {
    if (of.failed_seq != 0 && of.again <= now && !of.trouble.empty() && !of.now) {
      of.failed_seq = 0;
      is_due = true;
    }
  }
  return is_due;
}

instant app_tasks::next_tick() const {
  {
    const std::lock_guard guard(inbox_->lock);
    if (!inbox_->letters.empty()) return now_;
  }
  instant result = instant::max();
  for (const auto& [app, of] : tasks_) {
    if (of.failed_seq != 0 && !of.trouble.empty() && !of.now) result = std::min(result, of.again);
  }
  return result;
}

std::map<std::string, std::uint32_t> app_tasks::serving() const {
  std::map<std::string, std::uint32_t> result;
  for (const auto& [app, of] : tasks_) {
    if (of.serving != 0) result[app] = of.serving;
  }
  return result;
}

std::string app_tasks::trouble() const {
  std::string result;
  const auto add = [&](const std::string& line) {
    if (!result.empty()) result += "; ";
    result += line;
  };
  for (const auto& [app, of] : tasks_) {
    if (!of.trouble.empty()) {
      add(of.trouble);
    } else if (of.now && of.now->what == kind::activate && now_ - of.now->begun > loads_long) {
      add(app + ": release " + std::to_string(of.now->release) +
          (of.now->is_with_host ? " is active and still being loaded here"
                                : " is active, and files of it have not arrived here"));
    }
  }
  return result;
}

void app_tasks::add_needed(std::unordered_set<digest>& to) const {
  for (const auto& [app, of] : tasks_) {
    if (!of.now) continue;
    to.insert(of.now->manifest_name);
    for (const manifest_file& file : of.now->files.files) to.insert(file.content);
  }
}

}  // namespace troupe::cluster
