// SPDX-License-Identifier: Apache-2.0
//
// `allow` and `deny`, and the end of the access phase under `satisfy any`.
//
// Source   ngx_http_access_module; satisfy of ngx_http_core_module.
// Thread   shard.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "actors/stage.hpp"

namespace troupe::actors {

struct access_rule {
  bool allow = false;
  bool is_all = false;
  bool is_unix = false;
  std::array<unsigned char, 16> bytes{};
  std::size_t size = 0;  ///< 4 or 16.
  int prefix_bits = 0;

  [[nodiscard]] bool covers(std::string_view binary_address) const noexcept;
};

class access_rules_stage final : public stage {
public:
  access_rules_stage(caf::actor_config& config, shard& home,
                     std::shared_ptr<const std::vector<access_rule>> rules)
      : stage(config, home), rules_(std::move(rules)) {}
  verdict handle(exchange_box& box) override;

private:
  std::shared_ptr<const std::vector<access_rule>> rules_;
};

/// Refuses what no access handler has granted.
class post_access_stage final : public stage {
public:
  post_access_stage(caf::actor_config& config, shard& home) : stage(config, home) {}
  verdict handle(exchange_box& box) override;
};

}  // namespace troupe::actors
