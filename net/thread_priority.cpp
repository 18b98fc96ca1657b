// SPDX-License-Identifier: Apache-2.0
#include "net/thread_priority.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <system_error>
#include <thread>

namespace troupe::net {
namespace {

// struct sched_attr of linux/sched/types.h, which cannot be included beside glibc's sched.h.
struct scheduling {
  std::uint32_t size = sizeof(scheduling);
  std::uint32_t policy = 0;  // SCHED_OTHER
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  // From Linux 6.12 on: how long it runs before another's turn, in ns; ignored before.
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(scheduling) == 48);

constexpr std::uint64_t shortest_slice_ns = 100'000;

}  // namespace

void lower_thread_priority(int nice) noexcept {
  const scheduling wanted{.nice = nice, .runtime = shortest_slice_ns};
  if (syscall(SYS_sched_setattr, 0, &wanted, 0) == 0) return;
  setpriority(PRIO_PROCESS, 0, nice);  // On Linux the thread's alone.
}

void run_at_low_priority(const std::function<void()>& work) {
  std::thread worker;
  try {
    worker = std::thread([&work] {
      lower_thread_priority(10);
      work();
    });
  } catch (const std::system_error&) {  // No thread to be had.
    work();
    return;
  }
  worker.join();
}

}  // namespace troupe::net
