// SPDX-License-Identifier: Apache-2.0
#include "troupe/release.hpp"

namespace troupe {

const char* name(release_state state) noexcept {
  switch (state) {
    case release_state::active: return "active";
    case release_state::warm: return "warm";
    case release_state::draining: return "draining";
  }
  return "";
}

}  // namespace troupe
