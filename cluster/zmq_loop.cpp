// SPDX-License-Identifier: Apache-2.0
#include "cluster/zmq_loop.hpp"

#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

// Acknowledgements of many nodes trickle in: to be woken for each costs more than to handle it. A
// thread that is woken more often than this waits a little for more, as network cards do.
constexpr unsigned busy_turns = 10;
constexpr auto busy_window = 5ms;
constexpr auto gather_for = 300us;

}  // namespace

tl::expected<std::unique_ptr<zmq_loop>, refusal> zmq_loop::make() {
  file_descriptor wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.is_open()) return tl::unexpected(io_refusal("eventfd", "", errno));
  return std::unique_ptr<zmq_loop>(new zmq_loop(std::move(wake)));
}

zmq_loop::~zmq_loop() {
  stop();
}

void zmq_loop::remove(loop_source& source) {
  std::erase(sources_, &source);
}

void zmq_loop::run() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "cluster");
    turns();
  });
}

void zmq_loop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
}

void zmq_loop::post(task what) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(what));
  }
  wake();
}

void zmq_loop::wake() {
  const std::uint64_t one = 1;
  // A counter at its limit is readable already.
  [[maybe_unused]] const auto written = write(wake_.number(), &one, sizeof one);
}

void zmq_loop::do_tasks() {
  std::vector<task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (task& one : tasks) one();
}

void zmq_loop::turns() {
  std::vector<void*> handles;
  std::vector<loop_source*> owners;  // of these
  std::vector<zmq_pollitem_t> items;
  bool is_last = false;
  unsigned turns_of_window = 0;
  loop_source::instant window_ends{};
  while (!is_last) {
    auto until = loop_source::instant::max();
    handles.clear();
    owners.clear();
    for (loop_source* one : sources_) {
      one->handles(handles);
      owners.resize(handles.size(), one);
      until = std::min(until, one->next_tick());
    }
    items.assign(1, {nullptr, wake_.number(), ZMQ_POLLIN, 0});
    for (void* one : handles) items.push_back({one, 0, ZMQ_POLLIN, 0});
    long timeout_ms = 60'000;
    if (until != loop_source::instant::max()) {
      const auto left = until - std::chrono::steady_clock::now();
      // Rounded up: who asked for 0.4 ms must not be asked a hundred times before.
      const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
      timeout_ms = std::clamp<long>(left_ms, 0, timeout_ms);
    }
    zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms);
    if (const auto woken = std::chrono::steady_clock::now(); woken > window_ends) {
      window_ends = woken + busy_window;
      turns_of_window = 0;
    }
    if (++turns_of_window > busy_turns) std::this_thread::sleep_for(gather_for);
    if ((items[0].revents & ZMQ_POLLIN) != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = read(wake_.number(), &count, sizeof count);
    }
    for (std::size_t i = 0; i < handles.size(); ++i) {
      if ((items[i + 1].revents & ZMQ_POLLIN) != 0) owners[i]->on_ready(handles[i]);
    }
    {
      const std::lock_guard lock(mutex_);
      is_last = stopping_;
    }
    do_tasks();
    const std::vector<loop_source*> now_there = sources_;
    const auto now = std::chrono::steady_clock::now();
    for (loop_source* one : now_there) {
      if (std::find(sources_.begin(), sources_.end(), one) != sources_.end()) one->pump(now);
    }
  }
}

}  // namespace troupe::cluster
