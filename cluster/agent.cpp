// SPDX-License-Identifier: Apache-2.0
#include "cluster/agent.hpp"

#include "cluster/agent_core.hpp"

#include <future>
#include <mutex>
#include <set>
#include <utility>

namespace troupe::cluster {

namespace {

constexpr const char* paused_reason = "another process of this node takes over";

tl::unexpected<refusal> is_paused() {
  return tl::unexpected(refusal{.errc = refusal_errc::not_leader, .reason = paused_reason});
}

/// The core lives on the loop's thread and is made and ended there; others only look at it.
class threaded_agent final : public agent {
 public:
  threaded_agent(options how, blob_source& blobs, host& runtime, std::unique_ptr<zmq_loop> loop)
      : how_(std::move(how)), blobs_(blobs), runtime_(runtime), loop_(std::move(loop)) {
    loop_->run();
  }
  ~threaded_agent() override {
    loop_->post([this] {
      if (core_) core_->end();
    });
    loop_->stop();
    core_.reset();
  }

  void pause() override {
    on_loop([this] {
      if (!core_) return;
      core_->end();
      std::unique_ptr<agent_core> ended;
      {
        const std::lock_guard lock(mutex_);
        last_state_ = core_->state();
        last_standing_ = core_->stands();
        last_address_ = core_->address();
        paused_at_ = std::chrono::steady_clock::now();
        ended = std::move(core_);
      }
      loop_->remove_all();  // Those that the core has put there.
    });
  }
  tl::expected<void, refusal> resume() override {
    tl::expected<void, refusal> result;
    on_loop([&] {
      if (core_) return;
      auto keys = agent_keys::load(how_);
      if (!keys) {
        result = tl::unexpected(std::move(keys.error()));
        return;
      }
      auto core = std::make_unique<agent_core>(how_, std::move(*keys), blobs_, runtime_, *loop_);
      result = core->start(std::chrono::steady_clock::now());
      if (!result) {
        loop_->remove_all();
        return;
      }
      for (const std::string& topic : topics_) core->subscribe(topic);
      const std::lock_guard lock(mutex_);
      core_ = std::move(core);
    });
    return result;
  }

  void submit(signed_order what, std::function<void(const progress&)> on_progress) override {
    loop_->post([this, what = std::move(what), then = std::move(on_progress)]() mutable {
      if (core_) return core_->submit(what, std::move(then));
      progress no;
      if (const auto decoded = order::decode(what.bytes)) no.id = decoded->id;
      no.done = true;
      no.error = "no_controller";
      no.reason = paused_reason;
      then(no);
    });
  }
  void missing(std::vector<digest> names,
               std::function<void(tl::expected<std::vector<digest>, refusal>)> then) override {
    loop_->post([this, names = std::move(names), then = std::move(then)]() mutable {
      if (!core_) return then(is_paused());
      core_->requests().missing(std::move(names), std::move(then),
                                std::chrono::steady_clock::now());
    });
  }
  void put(digest name, std::string content,
           std::function<void(tl::expected<void, refusal>)> then) override {
    loop_->post([this, name, content = std::move(content), then = std::move(then)]() mutable {
      if (!core_) return then(is_paused());
      core_->requests().put(name, content, std::move(then), std::chrono::steady_clock::now());
    });
  }
  void query(std::string what,
             std::function<void(tl::expected<query_answer, refusal>)> then) override {
    loop_->post([this, what = std::move(what), then = std::move(then)]() mutable {
      if (!core_) return then(is_paused());
      if (what == own_aside_query) return then(core_->own_aside());
      core_->requests().query(std::move(what), std::move(then), std::chrono::steady_clock::now());
    });
  }
  void publish(std::string topic, std::string payload) override {
    loop_->post([this, topic = std::move(topic), payload = std::move(payload)]() mutable {
      if (core_) core_->publish(std::move(topic), std::move(payload));
    });
  }
  void subscribe(std::string topic) override {
    loop_->post([this, topic = std::move(topic)] {
      topics_.insert(topic);
      if (core_) core_->subscribe(topic);
    });
  }
  void unsubscribe(std::string topic) override {
    loop_->post([this, topic = std::move(topic)] {
      topics_.erase(topic);
      if (core_) core_->unsubscribe(topic);
    });
  }
  [[nodiscard]] std::shared_ptr<const cluster_state> state() const override {
    const std::lock_guard lock(mutex_);
    return core_ ? core_->state() : last_state_;
  }
  [[nodiscard]] standing stands() const override {
    const std::lock_guard lock(mutex_);
    if (core_) return core_->stands();
    // As long as it would be current if it were only busy: the other process is, by then.
    standing result = last_standing_;
    const auto since = std::chrono::steady_clock::now() - paused_at_;
    if (result.silent) {
      *result.silent += std::chrono::duration_cast<std::chrono::milliseconds>(since);
    }
    if (since > current_for) {
      result.current = false;
      result.problem = paused_reason;
    }
    return result;
  }
  [[nodiscard]] std::string address() const override {
    const std::lock_guard lock(mutex_);
    return core_ ? core_->address() : last_address_;
  }

 private:
  static constexpr std::chrono::seconds current_for{3};

  /// Does it on the loop's thread, and waits for it.
  void on_loop(const std::function<void()>& what) {
    std::promise<void> done;
    loop_->post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  const options how_;
  blob_source& blobs_;
  host& runtime_;
  std::unique_ptr<zmq_loop> loop_;
  std::set<std::string> topics_;  ///< The loop's.

  mutable std::mutex mutex_;  ///< Guards the rest: written by the loop's thread, read by all.
  std::unique_ptr<agent_core> core_;
  std::shared_ptr<const cluster_state> last_state_ = std::make_shared<const cluster_state>();
  standing last_standing_;
  std::string last_address_;
  std::chrono::steady_clock::time_point paused_at_;
};

}  // namespace

tl::expected<std::unique_ptr<agent>, refusal> agent::start(options how, blob_source& blobs,
                                                           host& runtime) {
  auto loop = zmq_loop::make();
  if (!loop) return tl::unexpected(loop.error());
  auto made = std::make_unique<threaded_agent>(std::move(how), blobs, runtime, std::move(*loop));
  if (auto begun = made->resume(); !begun) return tl::unexpected(begun.error());
  return made;
}

}  // namespace troupe::cluster
