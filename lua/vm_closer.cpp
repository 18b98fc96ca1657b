// SPDX-License-Identifier: Apache-2.0
#include "lua/vm_closer.hpp"

#include <pthread.h>

#include <utility>

#include "lua/current.hpp"
#include "lua/vm.hpp"
#include "net/thread_priority.hpp"

namespace troupe::lua {

vm_closer::vm_closer() : thread_([this] { run(); }) {}

vm_closer::~vm_closer() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  has_changed_.notify_one();
  thread_.join();
}

void vm_closer::close(std::unique_ptr<vm> machine, std::function<void()> then) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(machine), std::move(then)});
  }
  has_changed_.notify_one();
}

void vm_closer::run() {
  pthread_setname_np(pthread_self(), "closer");
  net::lower_thread_priority(10);  // As those that make VMs: these must not become ever more.
  for (;;) {
    std::vector<job> jobs;
    {
      std::unique_lock lock(mutex_);
      has_changed_.wait(lock, [this] { return is_ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      jobs.swap(jobs_);
    }
    for (job& each : jobs) {
      current.log = each.machine->options().log;  // For what finalizers have to say.
      each.machine.reset();
      current.log = nullptr;
      each.then();
    }
  }
}

}  // namespace troupe::lua
