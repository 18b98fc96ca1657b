// SPDX-License-Identifier: Apache-2.0
#include "lua/slice.hpp"

#include <lua.hpp>

#include <string>

#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/traceback.hpp"
#include "lua/vm.hpp"
#include "net/log.hpp"

namespace troupe::lua {
namespace {

void on_hook(lua_State* state, lua_Debug*) {
  if (const slice* counter = current.machine->watched(); counter != nullptr && counter->init_ms > 0) {
    // The hook stays, so that catching the error helps nobody: the VM is thrown away.
    luaL_error(state, "it has not ended within %d ms (lua_init_timeout)",
               static_cast<int>(counter->init_ms));
  }
  lua_sethook(state, nullptr, 0, 0);
  const vm_options& options = current.machine->options();
  const std::string text = "a script has run for more than " + std::to_string(options.max_slice_ms) +
                           " ms without a wait (lua_max_slice)";
  if (coroutine* co = script::of(state); co != nullptr && current.log != nullptr) {
    std::string line = text;
    append_traceback(line, *co);
    current.log->write(net::log_level::warn, line);
  }
  if (options.max_slice_kills) luaL_error(state, "%s", text.c_str());
}

}  // namespace

void interrupt_slice() noexcept {
  vm* machine = current.machine;
  if (machine == nullptr || machine->watched() == nullptr) return;
  const slice& now = *machine->watched();
  // Whom it was meant for may have ended meanwhile.
  if (now.serial.load(std::memory_order_relaxed) != now.overdue.load(std::memory_order_relaxed)) return;
  lua_sethook(machine->state(), on_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

}  // namespace troupe::lua
