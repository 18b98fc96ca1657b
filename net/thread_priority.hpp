// SPDX-License-Identifier: Apache-2.0
//
// Threads whose work may be late by milliseconds: they leave the processor to those that serve.
//
// Source   sched(7), sched_setattr(2), setpriority(2).
// Thread   any; the calling one alone is meant.
// Called   by runtime and lua: what loads, applies and closes releases.
#pragma once

#include <functional>

namespace troupe::net {

/// Lowers it for good: only a process with CAP_SYS_NICE could go back. Where the system lets it be, the
/// thread also runs for shorter times between others than they do.
/// @param nice  as of nice(1): 19 is last.
void lower_thread_priority(int nice) noexcept;

/// Runs it on a thread of its own with a lower priority, and waits for its end: the calling thread, and
/// what it starts later, keep theirs.
void run_at_low_priority(const std::function<void()>& work);

}  // namespace troupe::net
