// SPDX-License-Identifier: Apache-2.0
#include "lua/current.hpp"

namespace troupe::lua {
constinit thread_local run_context current;
}
