// SPDX-License-Identifier: Apache-2.0
#include "runtime/node_log.hpp"

namespace troupe {

void node_log::lead_to(std::shared_ptr<const net::log_context> target) {
  const std::lock_guard lock(mutex_);
  now_ = std::move(target);
}

std::shared_ptr<const net::log_context> node_log::now() const noexcept {
  const std::lock_guard lock(mutex_);
  return now_;
}

bool node_log::enabled(net::log_level level) const noexcept { return now()->enabled(level); }

void node_log::write(net::log_level level, std::string_view text) const noexcept {
  now()->write(level, text);
}

}  // namespace troupe
