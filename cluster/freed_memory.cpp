// SPDX-License-Identifier: Apache-2.0
#include "cluster/freed_memory.hpp"

#include <malloc.h>

namespace troupe::cluster {

void keep_freed_memory() {
  // Both: to set one stops malloc from adapting the other.
  mallopt(M_TRIM_THRESHOLD, 32 * 1024 * 1024);
  mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
}

}  // namespace troupe::cluster
