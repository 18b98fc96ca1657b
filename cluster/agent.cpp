// SPDX-License-Identifier: Apache-2.0
#include "cluster/agent.hpp"

#include "cluster/agent_core.hpp"

#include <future>
#include <utility>

namespace troupe::cluster {

namespace {

class threaded_agent final : public agent {
 public:
  threaded_agent(options how, agent_keys keys, blob_source& blobs, host& runtime,
                 std::unique_ptr<zmq_loop> loop)
      : loop_(std::move(loop)),
        core_(std::make_unique<agent_core>(std::move(how), std::move(keys), blobs, runtime,
                                           *loop_)) {}
  ~threaded_agent() override {
    loop_->post([this] { core_->end(); });
    loop_->stop();
    core_.reset();
  }

  tl::expected<void, refusal> begin() {
    loop_->run();
    std::promise<tl::expected<void, refusal>> result;
    loop_->post([&] { result.set_value(core_->start(std::chrono::steady_clock::now())); });
    return result.get_future().get();
  }

  void submit(signed_order what, std::function<void(const progress&)> on_progress) override {
    loop_->post([this, what = std::move(what), then = std::move(on_progress)]() mutable {
      core_->submit(what, std::move(then));
    });
  }
  void missing(std::vector<digest> names,
               std::function<void(tl::expected<std::vector<digest>, refusal>)> then) override {
    loop_->post([this, names = std::move(names), then = std::move(then)]() mutable {
      core_->requests().missing(std::move(names), std::move(then),
                                std::chrono::steady_clock::now());
    });
  }
  void put(digest name, std::string content,
           std::function<void(tl::expected<void, refusal>)> then) override {
    loop_->post([this, name, content = std::move(content), then = std::move(then)]() mutable {
      core_->requests().put(name, content, std::move(then), std::chrono::steady_clock::now());
    });
  }
  void query(std::string what,
             std::function<void(tl::expected<query_answer, refusal>)> then) override {
    loop_->post([this, what = std::move(what), then = std::move(then)]() mutable {
      core_->requests().query(std::move(what), std::move(then), std::chrono::steady_clock::now());
    });
  }
  void publish(std::string topic, std::string payload) override {
    loop_->post([this, topic = std::move(topic), payload = std::move(payload)]() mutable {
      core_->publish(std::move(topic), std::move(payload));
    });
  }
  void subscribe(std::string topic) override {
    loop_->post([this, topic = std::move(topic)] { core_->subscribe(topic); });
  }
  void unsubscribe(std::string topic) override {
    loop_->post([this, topic = std::move(topic)] { core_->unsubscribe(topic); });
  }
  [[nodiscard]] std::shared_ptr<const cluster_state> state() const override {
    return core_->state();
  }
  [[nodiscard]] standing stands() const override { return core_->stands(); }
  [[nodiscard]] const std::string& address() const override { return core_->address(); }

 private:
  std::unique_ptr<zmq_loop> loop_;
  std::unique_ptr<agent_core> core_;
};

}  // namespace

tl::expected<std::unique_ptr<agent>, refusal> agent::start(options how, blob_source& blobs,
                                                           host& runtime) {
  auto keys = agent_keys::load(how);
  if (!keys) return tl::unexpected(keys.error());
  auto loop = zmq_loop::make();
  if (!loop) return tl::unexpected(loop.error());
  auto made = std::make_unique<threaded_agent>(std::move(how), std::move(*keys), blobs, runtime,
                                               std::move(*loop));
  if (auto begun = made->begin(); !begun) return tl::unexpected(begun.error());
  return made;
}

}  // namespace troupe::cluster
