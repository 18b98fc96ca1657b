// SPDX-License-Identifier: Apache-2.0
#include "net/live_config.hpp"

#include <algorithm>

namespace troupe::net {

std::string config_variable(std::string_view key) {
  std::string name(key);
  std::ranges::transform(name, name.begin(), [](char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c | 0x20);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
  });
  return name;
}

std::shared_ptr<const live_config::snapshot> live_config::now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

void live_config::replace(std::uint64_t version, config_map values) {
  auto made = std::make_shared<snapshot>();
  made->version = version;
  made->values = std::move(values);
  for (auto each = made->values.cbegin(); each != made->values.cend(); ++each) {
    made->by_variable.emplace(config_variable(each->first), each);
  }
  const std::lock_guard lock(mutex_);
  now_ = std::move(made);
  version_.store(version, std::memory_order_release);
}

}  // namespace troupe::net
