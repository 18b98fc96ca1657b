// SPDX-License-Identifier: Apache-2.0
#include "runtime/time_text.hpp"

#include <ctime>

namespace troupe {

std::string time_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char room[32];
  const std::size_t size = std::strftime(room, sizeof room, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {room, size};
}

}  // namespace troupe
