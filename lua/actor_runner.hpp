// SPDX-License-Identifier: Apache-2.0
//
// How troupe.spawn reaches the actors: whoever runs a VM's actors makes one and says its address.
//
// Source   docs/lua-api.md, "Actors".
// Thread   that of the VM.
// Called   by lua/api/actor.cpp; implemented by actors/shard_release.
#pragma once

#include <string>

#include "lua/post_office.hpp"

namespace troupe::lua {

struct actor_start {
  std::string module;         ///< Whose table has init, handle, code_change, terminate.
  carried_message arguments;  ///< Of init.
};

class actor_runner {
public:
  /// It begins soon; mail may be sent to it at once.
  virtual mail_address spawn(actor_start what) = 0;

protected:
  ~actor_runner() = default;
};

}  // namespace troupe::lua
