// SPDX-License-Identifier: Apache-2.0
#include "runtime/refusal_diagnostic.hpp"

namespace troupe {

diagnostic to_diagnostic(const cluster::refusal& why) {
  // The reason names the file already.
  return {.reason = why.reason,
          .hint = why.errc == cluster::refusal_errc::damaged ||
                          why.errc == cluster::refusal_errc::missing
                      ? "apply the app again: the store then takes the content anew"
                      : ""};
}

}  // namespace troupe
