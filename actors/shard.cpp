// SPDX-License-Identifier: Apache-2.0
#include "actors/shard.hpp"

#include <pthread.h>

#include <atomic>

#include "actors/connection.hpp"
#include "actors/exchange_box.hpp"
#include "actors/shard_release.hpp"

namespace troupe::actors {
namespace {
// An actor may handle this many messages before its neighbours get their turn.
constexpr std::size_t throughput = 64;
}  // namespace

shard::shard(caf::actor_system& system, unsigned index, unsigned count)
    : caf::execution_unit(&system), exchanges_(std::make_unique<exchange_pool>(loop_.clock())), index_(index), count_(count) {
  thread_id_ = std::this_thread::get_id();
  loop_.set_idle_hook([this] { return drain(); });
}

shard::~shard() {
  // Actors that still have mail hold a reference for the queue.
  for (caf::resumable* actor : queue_) caf::intrusive_ptr_release(actor);
}

void shard::exec_later(caf::resumable* actor) {
  if (is_here()) {
    queue_.push_back(actor);
    return;
  }
  loop_.post([this, actor] { queue_.push_back(actor); });
}

bool shard::drain() {
  // New mail that handlers cause is run in the same call, so that a request passes all its stages
  // before the loop looks at sockets again; bounded by what arrives, not by time.
  int rounds = 0;
  while (!queue_.empty() && rounds++ < 64) {
    batch_.swap(queue_);
    for (caf::resumable* actor : batch_) {
      switch (actor->resume(this, throughput)) {
        case caf::resumable::resume_later: queue_.push_back(actor); break;
        case caf::resumable::done:
        case caf::resumable::awaiting_message:
        case caf::resumable::shutdown_execution_unit: caf::intrusive_ptr_release(actor); break;
      }
    }
    batch_.clear();
  }
  return !queue_.empty();
}

void shard::start() {
  thread_ = std::thread([this] {
    thread_id_ = std::this_thread::get_id();
    pthread_setname_np(pthread_self(), ("shard-" + std::to_string(index_)).c_str());
    loop_.run();
  });
}

void shard::stop() { loop_.stop(); }

void shard::join() {
  if (thread_.joinable()) thread_.join();
  // What is destroyed after the thread ended runs on whoever destroys the shard.
  thread_id_ = std::this_thread::get_id();
}

void shard::add(connection& client) noexcept {
  client.next_of_shard = connections_;
  client.previous_of_shard = nullptr;
  if (connections_ != nullptr) connections_->previous_of_shard = &client;
  connections_ = &client;
  ++connection_count_;
}

void shard::remove(connection& client) noexcept {
  (client.previous_of_shard != nullptr ? client.previous_of_shard->next_of_shard : connections_) =
      client.next_of_shard;
  if (client.next_of_shard != nullptr) {
    client.next_of_shard->previous_of_shard = client.previous_of_shard;
  }
  if (--connection_count_ == 0 && when_closed_) loop_.post(std::exchange(when_closed_, nullptr));
}

void shard::close_connections(bool gracefully, std::function<void()> then) {
  if (connection_count_ == 0) {
    loop_.post(std::move(then));
    return;
  }
  when_closed_ = std::move(then);
  if (!gracefully) {
    hurry();
    return;
  }
  for (connection* client = connections_; client != nullptr; client = client->next_of_shard) {
    client->tell(close_gracefully{});
  }
}

void shard::hurry() {
  for (connection* client = connections_; client != nullptr;) {
    connection* const next = client->next_of_shard;
    client->close();
    client = next;
  }
}

void shard::use(std::shared_ptr<shard_release> release) { current_ = std::move(release); }

}  // namespace troupe::actors
