// SPDX-License-Identifier: Apache-2.0
#include "runtime/agent_way.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

namespace troupe {
namespace {

using cluster::refusal;

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds patience{10};
/// Three beacons, as a node takes its link for dead.
constexpr milliseconds silence{3'000};
/// How often who waits looks.
constexpr milliseconds look_every{5};

std::string text_of(milliseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  return std::to_string(seconds / 3600) + " h";
}

/// Whether this node hears a controller, for who is about to ask it something and does not want to
/// wait for nobody.
class controller_watch {
 public:
  controller_watch(const cluster::agent& agent, milliseconds wait)
      : agent_(agent), began_(clock::now()), ends_(began_ + wait) {}

  /// Waits until one is heard. A node that is behind hears it with the next beacon; one whose link is
  /// gone knows that at once, but not whether its controller is only started anew.
  [[nodiscard]] tl::expected<void, refusal> heard() const {
    for (;;) {
      const auto stands = agent_.stands();
      if (stands.current || (stands.silent && clock::now() - *stands.silent >= began_)) return {};
      if (clock::now() >= ends_) return tl::unexpected(no_controller(stands));
      std::this_thread::sleep_for(look_every);
    }
  }
  /// Of one that was heard, or seemed to be: it says nothing any more.
  [[nodiscard]] std::optional<refusal> lost() const {
    if (clock::now() < ends_) return std::nullopt;
    const auto stands = agent_.stands();
    if (stands.current || (stands.silent && *stands.silent < silence)) return std::nullopt;
    return no_controller(stands);
  }

 private:
  static refusal no_controller(const cluster::agent::standing& stands) {
    std::string reason(no_controller_words);
    reason += stands.silent ? " (last heard " + text_of(*stands.silent) + " ago)"
                            : " (none since this node started)";
    if (!stands.problem.empty()) reason += ": " + stands.problem;
    return {cluster::refusal_errc::not_leader, std::move(reason), {}};
  }

  const cluster::agent& agent_;
  clock::time_point began_;
  clock::time_point ends_;
};

/// An answer that comes on the cluster's thread, perhaps after nobody waits any more.
template <typename T>
class answer {
 public:
  [[nodiscard]] auto taker() {
    return [kept = box_](tl::expected<T, refusal> result) {
      const std::lock_guard lock(kept->mutex);
      kept->result.emplace(std::move(result));
      kept->there.notify_all();
    };
  }
  tl::expected<T, refusal> wait(const controller_watch& watch) {
    const auto most = clock::now() + patience;
    std::unique_lock lock(box_->mutex);
    while (!box_->there.wait_for(lock, look_every, [this] { return box_->result.has_value(); })) {
      if (auto lost = watch.lost()) return tl::unexpected(std::move(*lost));
      if (clock::now() < most) continue;
      return tl::unexpected(
          refusal{cluster::refusal_errc::io, "the controller gave no answer in time", {}});
    }
    return std::move(*box_->result);
  }

 private:
  struct box {
    std::mutex mutex;
    std::condition_variable there;
    std::optional<tl::expected<T, refusal>> result;
  };
  std::shared_ptr<box> box_ = std::make_shared<box>();
};

/// It makes this node the controller, so that it needs none.
bool promotes(const cluster::order& what, const std::string& name) {
  const auto* promotion = std::get_if<cluster::promote_order>(&what.body);
  return promotion != nullptr && promotion->node == name;
}

}  // namespace

tl::expected<std::vector<cluster::digest>, refusal> agent_way::missing(
    std::vector<cluster::digest> names, milliseconds wait) {
  const controller_watch watch(agent_, wait);
  if (auto heard = watch.heard(); !heard) return tl::unexpected(heard.error());
  answer<std::vector<cluster::digest>> result;
  agent_.missing(std::move(names), result.taker());
  return result.wait(watch);
}

tl::expected<void, refusal> agent_way::put(const cluster::digest& name, std::string content,
                                           milliseconds wait) {
  const controller_watch watch(agent_, wait);
  if (auto heard = watch.heard(); !heard) return tl::unexpected(heard.error());
  answer<void> result;
  agent_.put(name, std::move(content), result.taker());
  return result.wait(watch);
}

void agent_way::submit(const cluster::signed_order& what, const on_progress& on,
                       milliseconds wait) {
  const controller_watch watch(agent_, wait);
  const auto decoded = cluster::order::decode(what.bytes);
  const auto give_up = [&](const std::string& reason) {
    cluster::progress no;
    if (decoded) no.id = decoded->id;
    no.done = true;
    no.error = "no_controller";
    no.reason = reason;
    on(&no);
  };
  const bool needs_one = !decoded || !promotes(*decoded, name_);
  if (needs_one) {
    if (const auto heard = watch.heard(); !heard) return give_up(heard.error().reason);
  }
  struct box {
    std::mutex mutex;
    std::condition_variable there;
    std::deque<cluster::progress> news;
  };
  auto kept = std::make_shared<box>();
  agent_.submit(what, [kept](const cluster::progress& news) {
    const std::lock_guard lock(kept->mutex);
    kept->news.push_back(news);
    kept->there.notify_all();
  });
  bool is_taken = false;
  for (;;) {
    std::optional<cluster::progress> next;
    {
      std::unique_lock lock(kept->mutex);
      kept->there.wait_for(lock, std::chrono::seconds(1), [&] { return !kept->news.empty(); });
      if (!kept->news.empty()) {
        next = std::move(kept->news.front());
        kept->news.pop_front();
      }
    }
    if (next) is_taken = true;
    // One that was taken is in a history, whose next controller goes on with it.
    if (const auto lost = needs_one && !is_taken ? watch.lost() : std::nullopt) {
      return give_up(lost->reason + "; " + std::string(cluster::may_be_done_words));
    }
    if (!on(next ? &*next : nullptr) || (next && next->done)) return;
  }
}

tl::expected<std::shared_ptr<const cluster::cluster_state>, refusal> agent_way::state() {
  return agent_.state();
}

tl::expected<cluster::query_answer, refusal> agent_way::query(const std::string& what,
                                                                  milliseconds wait) {
  const controller_watch watch(agent_, wait);
  if (what != cluster::agent::own_aside_query) {  // That one needs no controller.
    if (auto heard = watch.heard(); !heard) return tl::unexpected(heard.error());
  }
  answer<cluster::query_answer> result;
  agent_.query(what, result.taker());
  return result.wait(watch);
}

// One of a release that this node never ran is the controller's alone.
tl::expected<std::string, refusal> agent_way::content(const cluster::digest& name) {
  return blobs_.get(name);
}

}  // namespace troupe
