// SPDX-License-Identifier: Apache-2.0
//
// How much memory a process has in RAM.
//
// Source   proc(5), /proc/PID/status.
// Thread   any.
// Called   by tests/e2e.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace troupe::tests {

/// In kilobytes; 0 if there is no such process.
inline std::int64_t resident_kilobytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    std::int64_t size = 0;
    if (word == "VmRSS:" && status >> size) return size;
  }
  return 0;
}

}  // namespace troupe::tests
