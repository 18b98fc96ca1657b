// SPDX-License-Identifier: Apache-2.0
#include "runtime/resident_bytes.hpp"

#include <fstream>

#include <unistd.h>

namespace troupe {

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace troupe
