// SPDX-License-Identifier: Apache-2.0
#include "lua/interrupt.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <mutex>

#include "lua/current.hpp"
#include "lua/memory_cap.hpp"
#include "lua/slice.hpp"
#include "lua/vm.hpp"

namespace troupe::lua {
namespace {

constexpr int every_instruction = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT;
constexpr unsigned char profile_bit = 0x80;  // HOOK_PROFILE.
constexpr std::size_t state_bytes = 1024;    // Of LuaJIT's global state: the byte lies in there.

void on_hook(lua_State* state, lua_Debug*) {
  vm* machine = current.machine;
  if (machine == nullptr) {  // Code of a VM that is being closed.
    lua_sethook(state, nullptr, 0, 0);
    return;
  }
  const unsigned reasons = machine->interrupts().lower();
  if ((reasons & interrupt::memory) != 0) machine->memory().check(state);
  if ((reasons & interrupt::init) != 0) end_init(state);
  if ((reasons & interrupt::slice) != 0) end_slice(state);
}

void no_hook(lua_State*, lua_Debug*) {}
void no_sample(void*, lua_State*, int, int) {}

// The byte that follows what lua_sethook() sets. The main thread's state and the global one are one
// piece of memory, in this order; anything else is a LuaJIT that we do not know.
unsigned char* find_mask(lua_State* main) {
  unsigned char* global = nullptr;
  std::memcpy(&global, reinterpret_cast<char*>(main) + 16, sizeof global);
  const auto* first = reinterpret_cast<unsigned char*>(main);
  if (global <= first || global > first + 512) return nullptr;
  std::array<bool, state_bytes> fits;
  fits.fill(true);
  for (const int mask : {1, 2, 4, 8, 15, 5, 10, 0}) {
    lua_sethook(main, mask != 0 ? no_hook : nullptr, mask, 1 << 30);
    for (std::size_t i = 0; i < state_bytes; ++i) {
      if (global[i] != mask) fits[i] = false;
    }
  }
  unsigned char* found = nullptr;
  for (std::size_t i = 0; i < state_bytes; ++i) {
    if (!fits[i]) continue;
    if (found != nullptr) return nullptr;
    found = global + i;
  }
  return found;
}

// LuaJIT keeps whom it profiles in one place for the process.
std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

// What is attached to the events of the compiler (jit.v, jit.dump) hears nothing for that long: the
// traces that are dropped are our affair. LuaJIT remembers that nobody is attached, until somebody is.
class quiet_traces {
 public:
  explicit quiet_traces(lua_State* main) : main_(main) {
    lua_getfield(main_, LUA_REGISTRYINDEX, events);
    is_heard_ = lua_istable(main_, -1);
    if (!is_heard_) {
      lua_pop(main_, 1);
      return;
    }
    lua_pushnil(main_);
    lua_setfield(main_, LUA_REGISTRYINDEX, events);
  }
  ~quiet_traces() {
    if (!is_heard_) return;
    lua_setfield(main_, LUA_REGISTRYINDEX, events);
    if (luaL_dostring(main_, "local function nobody() end\n"
                             "local attach = require('jit').attach\n"
                             "attach(nobody, 'troupe') attach(nobody)") != 0) {
      lua_pop(main_, 1);
    }
  }
  quiet_traces(const quiet_traces&) = delete;
  quiet_traces& operator=(const quiet_traces&) = delete;

 private:
  static constexpr const char* events = "_VMEVENTS";
  lua_State* main_;
  bool is_heard_ = false;
};

// Mode `l` without a timer: the profiler is held by another VM for that moment.
void compile_checks(lua_State* main) {
  const std::lock_guard lock(one_at_a_time());
  lua_State* holder = luaL_newstate();
  if (holder == nullptr) return;
  luaJIT_profile_start(holder, "i1000000", no_sample, nullptr);
  luaJIT_profile_start(main, "l", no_sample, nullptr);
  luaJIT_profile_stop(holder);
  lua_close(holder);
}

// Only whose profiler runs can end the mode. If that of another VM does, it stays: checks are of no harm.
void compile_no_checks(lua_State* main) {
  const std::lock_guard lock(one_at_a_time());
  const quiet_traces quiet(main);
  luaJIT_profile_start(main, "i1000000", no_sample, nullptr);
  luaJIT_profile_stop(main);
}

// jit.profile.stop() of the app ends the mode; this one takes it up again.
constexpr const char* keep_checks = R"lua(
local compile_checks = ...
local preload = package.preload
local open = preload["jit.profile"]
if open then
  preload["jit.profile"] = function(...)
    local profile = open(...)
    local stop = profile.stop
    function profile.stop()
      stop()
      compile_checks()
    end
    return profile
  end
end)lua";

}  // namespace

int interrupt::check_again(lua_State* state) {
  const auto& self = *static_cast<interrupt*>(lua_touserdata(state, lua_upvalueindex(1)));
  if (self.mask_ != nullptr) compile_checks(self.main_);
  return 0;
}

void interrupt::open(lua_State* main) {
  main_ = main;
  mask_ = find_mask(main);
  if (mask_ == nullptr) return;
  compile_checks(main);
  if (luaL_loadstring(main, keep_checks) == 0) {
    lua_pushlightuserdata(main, this);
    lua_pushcclosure(main, check_again, 1);
    lua_pcall(main, 1, 0, 0);
  }
  lua_settop(main, 0);
}

void interrupt::close() {
  lower();
  if (mask_ != nullptr) compile_no_checks(main_);
  main_ = nullptr;
  mask_ = nullptr;
}

void interrupt::raise(unsigned reason) noexcept {
  reasons_.fetch_or(reason, std::memory_order_relaxed);
  // Off first: who is interrupted may be LuaJIT itself, half-way through setting its tables, which are
  // only made anew when something changes.
  lua_sethook(main_, nullptr, 0, 0);
  lua_sethook(main_, on_hook, every_instruction, 1);
  // After the hook: with this bit the tables would lead to the profiler.
  if (mask_ != nullptr) __atomic_or_fetch(mask_, profile_bit, __ATOMIC_RELAXED);
}

unsigned interrupt::lower() noexcept {
  if (mask_ != nullptr) {
    __atomic_and_fetch(mask_, static_cast<unsigned char>(~profile_bit), __ATOMIC_RELAXED);
  }
  lua_sethook(main_, nullptr, 0, 0);
  return reasons_.exchange(0, std::memory_order_relaxed);
}

}  // namespace troupe::lua
