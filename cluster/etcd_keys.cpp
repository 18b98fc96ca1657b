// SPDX-License-Identifier: Apache-2.0
#include "cluster/etcd_keys.hpp"

#include <sstream>

namespace troupe::cluster {

std::string position_text(const position& at) {
  return std::to_string(at.epoch) + ' ' + std::to_string(at.seq) + ' ' + at.state.hex();
}

std::optional<position> position_from(std::string_view text) {
  std::istringstream words{std::string(text)};
  position result;
  std::string hex;
  if (!(words >> result.epoch >> result.seq >> hex)) return std::nullopt;
  const auto state = digest::parse(hex);
  if (!state) return std::nullopt;
  result.state = *state;
  return result;
}

}  // namespace troupe::cluster
