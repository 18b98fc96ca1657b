// SPDX-License-Identifier: Apache-2.0
//
// How much memory a VM may have: `lua_max_memory`. Above the cap LuaJIT is given none, which Lua code
// sees as the error "not enough memory"; what the runtime itself needs outside of that code, such as
// the results of a wait, is always given. Compiled code gets it as well and is interrupted: LuaJIT
// raises this error from machine code with a stale stack. Collects before garbage alone would reach
// the cap.
//
// Source   docs/directives.md, lua_max_memory; lua_Alloc of the Lua 5.1 manual.
// Thread   that of the VM.
// Errors   none of its own: LuaJIT raises LUA_ERRMEM.
// Called   by lua/vm, lua/script, lua/interrupt.
#pragma once

#include <lua.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe::lua {

class interrupt;

class memory_cap {
public:
  /// From here on memory is counted. `interrupts` collects in the middle of a script.
  void open(lua_State* main, std::size_t most, interrupt& interrupts);
  /// Before lua_close(): LuaJIT ends its own allocator only if that is in place.
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return most_ != 0; }

  [[nodiscard]] std::size_t used() const noexcept { return used_; }
  [[nodiscard]] bool is_exceeded() const noexcept { return most_ != 0 && used_ > most_; }
  /// Something was refused and nothing collected since.
  [[nodiscard]] bool has_refused() const noexcept { return has_refused_; }
  /// "the VM has 60 MB of the 64 MB of lua_max_memory"
  [[nodiscard]] std::string describe() const;

  /// So much was allocated since the last collection that garbage could reach the cap.
  [[nodiscard]] bool is_due() const noexcept { return most_ != 0 && (used_ >= due_ || has_refused_); }
  /// In the hook: collects, and raises the error if what is alive is more than the cap.
  void check(lua_State* state);
  /// Collects all. Finalizers may raise errors.
  void collect(lua_State* state);

  /// While it lives the cap holds, or does not: errors can be raised in Lua code only.
  class scope {
  public:
    scope(memory_cap& cap, bool holds) noexcept : cap_(cap), before_(cap.holds_) { cap.holds_ = holds; }
    ~scope() { cap_.holds_ = before_; }
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;

  private:
    memory_cap& cap_;
    bool before_;
  };

private:
  friend class scope;
  static void* find_state(void* self, void* piece, std::size_t old_size, std::size_t size);
  [[nodiscard]] bool can_refuse() const noexcept { return vm_state_ != nullptr && (*vm_state_ == -1 || *vm_state_ == -2); }
  static void* allocate(void* self, void* piece, std::size_t old_size, std::size_t size);

  lua_State* main_ = nullptr;
  interrupt* interrupts_ = nullptr;
  lua_Alloc inner_ = nullptr;
  void* inner_self_ = nullptr;
  std::size_t most_ = 0;
  std::size_t used_ = 0;
  std::size_t due_ = 0;  ///< A full collection is due from so many bytes on.
  const volatile std::int32_t* vm_state_ = nullptr;  ///< LuaJIT's; -1: interpreter, -2: C function.
  bool holds_ = false;
  bool is_raised_ = false;
  bool has_refused_ = false;
  bool is_collecting_ = false;
};

}  // namespace troupe::lua
