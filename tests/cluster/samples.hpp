// SPDX-License-Identifier: Apache-2.0
//
// One of each kind of order and of each type of message, with all fields set, always the same.
//
// Called   by tests/cluster, for round trips and for the golden files.
#pragma once

#include "cluster/messages.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

/// 2026-01-02 03:04:05.678 and so many milliseconds.
wall_time sample_time(std::int64_t later_ms = 0);
order_id sample_id(std::uint8_t first);
public_key sample_key(std::uint8_t first);
selector sample_selector();
order sample_order(order_body body);

std::vector<order> sample_orders();
change sample_change();
std::vector<message> sample_messages();

/// The bytes of tests/cluster/golden/NAME. With TROUPE_WRITE_GOLDEN set they are written first:
/// only for a new type or a new version.
std::string golden(std::string_view name, std::string_view bytes_now);

}  // namespace troupe::cluster
