// SPDX-License-Identifier: Apache-2.0
//
// `troupe cluster up N PATH`: a whole cluster on this machine, to try it out: N node processes of this
// binary over loopback, in a temporary data folder, on free ports. Ctrl-C ends all of them.
//
// Source   docs/cluster.md, "To try it out".
// Thread   main.
// Errors   said; the exit status. No process outlives the command, but for one that was killed.
// Called   by runtime/commands/cluster.
#pragma once

#include "runtime/commands/shared_flags.hpp"

#include <string>

namespace troupe {

int local_cluster(const shared_flags& flags, unsigned nodes, const std::string& path);

}  // namespace troupe
