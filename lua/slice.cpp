// SPDX-License-Identifier: Apache-2.0
#include "lua/slice.hpp"

#include <string>

#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/traceback.hpp"
#include "lua/vm.hpp"
#include "net/log.hpp"

namespace troupe::lua {

void end_init(lua_State* state) {
  vm& machine = *current.machine;
  if (machine.watched() == nullptr) return;  // It has ended.
  // Again at the next instruction, so that catching the error helps nobody: the VM is thrown away.
  machine.interrupts().raise(interrupt::init);
  luaL_where(state, 0);
  lua_pushfstring(state, "it has not ended within %d ms (lua_init_timeout)",
                  static_cast<int>(machine.watched()->init_ms));
  lua_concat(state, 2);
  machine.interrupts().leave_hook();
  lua_error(state);
}

void end_slice(lua_State* state) {
  vm& machine = *current.machine;
  slice* counts = machine.watched();
  coroutine* co = script::of(state);
  script* running = co != nullptr ? co->owner : current.running;
  const bool again = running != nullptr && running->is_condemned();
  const vm_options& options = machine.options();
  const std::string text = "a script has run for more than " + std::to_string(options.max_slice_ms) +
                           " ms without a wait (lua_max_slice)";
  if (!again) {
    if (counts != nullptr) counts->warnings.fetch_add(1, std::memory_order_relaxed);
    std::string line = text;
    if (co != nullptr) append_traceback(line, *co);
    if (current.log != nullptr) current.log->write(net::log_level::warn, line);
    if (!options.max_slice_kills) return;
    if (counts != nullptr) counts->kills.fetch_add(1, std::memory_order_relaxed);
    if (running != nullptr && ++running->slice_errors() >= slice::most_errors) {
      running->condemn(text, line);
    }
  }
  // One that is to end gets the error at each instruction, so that no pcall keeps it.
  if (running != nullptr && running->is_condemned()) machine.interrupts().raise(interrupt::slice);
  luaL_where(state, 0);
  lua_pushlstring(state, text.data(), text.size());
  lua_concat(state, 2);
  machine.interrupts().leave_hook();
  lua_error(state);
}

void interrupt_slice() noexcept {
  vm* machine = current.machine;
  if (machine == nullptr || machine->watched() == nullptr) return;
  const slice& now = *machine->watched();
  // Whom it was meant for may have ended meanwhile.
  if (now.serial.load(std::memory_order_relaxed) != now.overdue.load(std::memory_order_relaxed)) return;
  if (machine->interrupts().is_open()) {
    machine->interrupts().raise(now.init_ms > 0 ? interrupt::init : interrupt::slice);
  }
}

}  // namespace troupe::lua
