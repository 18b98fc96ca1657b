// SPDX-License-Identifier: Apache-2.0
#include "runtime/agent_way.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace troupe {
namespace {

using cluster::refusal;

constexpr std::chrono::seconds patience{10};

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
  tl::expected<T, refusal> wait() {
    std::unique_lock lock(box_->mutex);
    if (!box_->there.wait_for(lock, patience, [this] { return box_->result.has_value(); })) {
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

}  // namespace

tl::expected<std::vector<cluster::digest>, refusal> agent_way::missing(
    std::vector<cluster::digest> names) {
  answer<std::vector<cluster::digest>> result;
  agent_.missing(std::move(names), result.taker());
  return result.wait();
}

tl::expected<void, refusal> agent_way::put(const cluster::digest& name, std::string content) {
  answer<void> result;
  agent_.put(name, std::move(content), result.taker());
  return result.wait();
}

void agent_way::submit(const cluster::signed_order& what, const on_progress& on) {
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
    if (!on(next ? &*next : nullptr) || (next && next->done)) return;
  }
}

tl::expected<std::shared_ptr<const cluster::cluster_state>, refusal> agent_way::state() {
  return agent_.state();
}

tl::expected<cluster::query_answer, refusal> agent_way::query(const std::string& what) {
  answer<cluster::query_answer> result;
  agent_.query(what, result.taker());
  return result.wait();
}

// One of a release that this node never ran is the controller's alone.
tl::expected<std::string, refusal> agent_way::content(const cluster::digest& name) {
  return blobs_.get(name);
}

}  // namespace troupe
