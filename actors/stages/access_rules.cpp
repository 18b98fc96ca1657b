// SPDX-License-Identifier: Apache-2.0
#include "actors/stages/access_rules.hpp"

#include "actors/stages/lua_stage.hpp"

namespace troupe::actors {

bool access_rule::covers(std::string_view address) const noexcept {
  if (is_all) return true;
  if (is_unix) return address.empty();
  if (address.size() != size) return false;
  int bits = prefix_bits;
  for (std::size_t i = 0; i < size && bits > 0; ++i, bits -= 8) {
    const auto mask = static_cast<unsigned char>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    if ((static_cast<unsigned char>(address[i]) & mask) != (bytes[i] & mask)) return false;
  }
  return true;
}

verdict access_rules_stage::handle(exchange_box& box) {
  net::exchange& x = box.x;
  for (const access_rule& rule : *rules_) {
    if (!rule.covers(x.client.binary_remote_addr)) continue;
    if (rule.allow) return judge_access(box, 0);
    if (x.settings->satisfy == net::satisfy_mode::all) {
      x.write(net::log_level::error, "access forbidden by rule");
    }
    return judge_access(box, 403);
  }
  return verdict::next;
}

verdict post_access_stage::handle(exchange_box& box) {
  const int refused = std::exchange(box.x.access_code, 0);
  if (refused == 403) box.x.write(net::log_level::error, "access forbidden by rule");
  return refused != 0 ? finish(box, refused) : verdict::next;
}

}  // namespace troupe::actors
