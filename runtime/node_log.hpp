// SPDX-License-Identifier: Apache-2.0
//
// The node's error log: that of the release which serves. It stays the same object while releases come
// and go, so that listeners and threads may hold it.
//
// Thread   any.
// Called   by runtime/node; written to by listeners and by the program around the node.
#pragma once

#include <memory>
#include <mutex>

#include "net/log.hpp"

namespace troupe {

class node_log final : public net::log_context {
 public:
  explicit node_log(std::shared_ptr<const net::log_context> first) : now_(std::move(first)) {}

  void lead_to(std::shared_ptr<const net::log_context> target);

  [[nodiscard]] bool enabled(net::log_level level) const noexcept override;
  void write(net::log_level level, std::string_view text) const noexcept override;

 private:
  [[nodiscard]] std::shared_ptr<const net::log_context> now() const noexcept;

  mutable std::mutex mutex_;
  std::shared_ptr<const net::log_context> now_;
};

}  // namespace troupe
