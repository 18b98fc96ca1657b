// SPDX-License-Identifier: Apache-2.0
//
// Lua values as ngx.say, ngx.print and ngx.log show them. The area `value_text` gives the other
// areas' Lua files the same as `check.number_text`, `check.text_of` and the checks that go before
// them; ngx.log, which takes the values off the stack, calls the functions below.
//
//   output.lua   a string goes to the output as it is, a number through the FFI function
//                append_number, the rest through check.text_of; check.printable and
//                check.array_size come first, so that nothing is said if one value has no text.
//   log.cpp      check_loggable for each value, then append_loggable for each.
//
// Source   "ngx.print" and "ngx.log" of ngx_lua's README.
// Thread   that of the VM.
// Errors   raised in Lua with ngx_lua's texts.
#pragma once

#include <lua.hpp>

#include <cstddef>
#include <string>

namespace troupe::lua {

inline constexpr std::size_t longest_number = 32;

/// A number as C's `%.14g`, but zero without a sign.
/// @param out  room for `longest_number` bytes. @return the bytes written.
std::size_t write_number(char* out, double number) noexcept;

/// Raises if ngx.log cannot show the value; `argument` is how the text numbers it.
void check_loggable(lua_State* state, int index, int argument);
/// For what passed the check. Tables speak through their __tostring, which may raise.
void append_loggable(lua_State* state, int index, std::string& out);

}  // namespace troupe::lua
