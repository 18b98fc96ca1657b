// SPDX-License-Identifier: Apache-2.0
#include "runtime/refusal_diagnostic.hpp"

#include "runtime/system_hint.hpp"

namespace troupe {

diagnostic to_diagnostic(const cluster::refusal& why) {
  const bool lacks_content = why.errc == cluster::refusal_errc::damaged ||
                             why.errc == cluster::refusal_errc::missing;
  // The reason names the file already.
  return {.reason = why.reason,
          .hint = lacks_content ? "apply the app again: the store then takes the content anew"
                                : system_hint(error_number_in(why.reason))};
}

}  // namespace troupe
