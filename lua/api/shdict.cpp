// SPDX-License-Identifier: Apache-2.0
//
// ngx.shared.DICT.
//
// Source   "ngx.shared.DICT" and its methods in ngx_lua's README.
// Thread   any VM's; the dictionary locks.
#include <algorithm>
#include <cmath>
#include <cstddef>

extern "C" {
#include "lua/api/shdict.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/shared_dict.hpp"

namespace troupe::lua {
namespace {

// Under it a publish()ed dictionary finds the metatable of its VM.
constexpr char methods_field[] = "troupe.shared_dict";

shared_dict& dict(void* zone) noexcept { return **static_cast<shared_dict**>(zone); }
int code(dict_errc error) noexcept { return static_cast<int>(error); }
shared_dict::end end_of(int end) noexcept {
  return end == 0 ? shared_dict::end::left : shared_dict::end::right;
}

// A life that is not zero does not become one: that would be for ever.
std::int64_t to_ms(double seconds) noexcept {
  constexpr double longest = 1e15;
  if (!(seconds > 0)) return 0;
  return std::max<std::int64_t>(1, std::llround(std::min(seconds * 1000, longest)));
}

template <class T>
int result_of(const tl::expected<T, dict_errc>& done) noexcept {
  return done ? 0 : code(done.error());
}

void show(const shared_dict::found& found, troupe_shdict_result& result) noexcept {
  result.number = found.number;
  result.text_bytes = found.text_bytes;
  result.kind = static_cast<int>(found.what);
  result.flags = found.flags;
  result.is_stale = found.is_stale ? 1 : 0;
}

int get(void* zone, const char* key, std::size_t key_bytes, char* room, std::size_t room_bytes,
        int with_expired, troupe_shdict_result* result) noexcept {
  shared_dict::found found;
  const auto done =
      dict(zone).get({key, key_bytes}, {room, room_bytes}, found, with_expired != 0);
  show(found, *result);
  return result_of(done);
}

int put(void* zone, int how, std::string_view key, const dict_value& value, double life_s,
        int flags, troupe_shdict_result& result) noexcept {
  const auto mode = static_cast<shared_dict::mode>(how & 3);
  const auto stored = dict(zone).put(mode, key, value, to_ms(life_s), flags, (how & 4) == 0);
  result.forcible = stored.forcible ? 1 : 0;
  return code(stored.error);
}

int put_text(void* zone, int how, const char* key, std::size_t key_bytes, const char* text,
             std::size_t text_bytes, double life_s, int flags,
             troupe_shdict_result* result) noexcept {
  return put(zone, how, {key, key_bytes}, std::string_view(text, text_bytes), life_s, flags,
             *result);
}

int put_number(void* zone, int how, const char* key, std::size_t key_bytes, int kind, double number,
               double life_s, int flags, troupe_shdict_result* result) noexcept {
  const dict_value value = kind == 0 ? dict_value(number != 0) : dict_value(number);
  return put(zone, how, {key, key_bytes}, value, life_s, flags, *result);
}

void remove(void* zone, const char* key, std::size_t key_bytes) noexcept {
  dict(zone).remove({key, key_bytes});
}

int increment(void* zone, const char* key, std::size_t key_bytes, double by, int has_init,
              double init, double init_life_s, troupe_shdict_result* result) noexcept {
  const auto done = dict(zone).increment({key, key_bytes}, by, has_init != 0 ? &init : nullptr,
                                         to_ms(init_life_s));
  result->number = done.value;
  result->forcible = done.forcible ? 1 : 0;
  return code(done.error);
}

int push(void* zone, int end, std::string_view key, const dict_element& value,
         troupe_shdict_result& result) noexcept {
  const auto length = dict(zone).push(end_of(end), key, value);
  if (length) result.number = static_cast<double>(*length);
  return result_of(length);
}

int push_text(void* zone, int end, const char* key, std::size_t key_bytes, const char* text,
              std::size_t text_bytes, troupe_shdict_result* result) noexcept {
  return push(zone, end, {key, key_bytes}, std::string_view(text, text_bytes), *result);
}

int push_number(void* zone, int end, const char* key, std::size_t key_bytes, double number,
                troupe_shdict_result* result) noexcept {
  return push(zone, end, {key, key_bytes}, number, *result);
}

int pop(void* zone, int end, const char* key, std::size_t key_bytes, char* room,
        std::size_t room_bytes, troupe_shdict_result* result) noexcept {
  shared_dict::found found;
  const auto done = dict(zone).pop(end_of(end), {key, key_bytes}, {room, room_bytes}, found);
  show(found, *result);
  return result_of(done);
}

int length(void* zone, const char* key, std::size_t key_bytes,
           troupe_shdict_result* result) noexcept {
  const auto length = dict(zone).length({key, key_bytes});
  if (length) result->number = static_cast<double>(*length);
  return result_of(length);
}

int time_left(void* zone, const char* key, std::size_t key_bytes,
              troupe_shdict_result* result) noexcept {
  const auto ms = dict(zone).time_left({key, key_bytes});
  if (ms) result->number = static_cast<double>(*ms) / 1000;
  return result_of(ms);
}

int expire(void* zone, const char* key, std::size_t key_bytes, double life_s) noexcept {
  return dict(zone).expire({key, key_bytes}, to_ms(life_s)) ? 0 : code(dict_errc::not_found);
}

void flush_all(void* zone) noexcept { dict(zone).flush_all(); }
std::size_t flush_expired(void* zone, std::size_t most) noexcept {
  return dict(zone).flush_expired(most);
}
std::size_t capacity(void* zone) noexcept { return dict(zone).capacity(); }
std::size_t free_space(void* zone) noexcept { return dict(zone).free_space(); }

constexpr troupe_ffi_shdict table{.get = get,
                                  .put_text = put_text,
                                  .put_number = put_number,
                                  .remove = remove,
                                  .increment = increment,
                                  .push_text = push_text,
                                  .push_number = push_number,
                                  .pop = pop,
                                  .length = length,
                                  .time_left = time_left,
                                  .expire = expire,
                                  .flush_all = flush_all,
                                  .flush_expired = flush_expired,
                                  .capacity = capacity,
                                  .free_space = free_space};

void push_keys(lua_State* state, const shared_dict::key_list& keys) {
  lua_createtable(state, static_cast<int>(keys.sizes.size()), 0);
  const char* at = keys.bytes.data();
  int n = 0;
  for (const std::uint16_t size : keys.sizes) {
    lua_pushlstring(state, at, size);
    lua_rawseti(state, -2, ++n);
    at += size;
  }
}

// keys(zone, most): both checked by the caller.
int keys(lua_State* state) {
  const auto most = static_cast<std::size_t>(lua_tointeger(state, 2));
  push_keys(state, dict(lua_touserdata(state, 1)).keys(most));
  return 1;
}

// keep(methods): for publish().
int keep(lua_State* state) {
  lua_settop(state, 1);
  lua_setfield(state, LUA_REGISTRYINDEX, methods_field);
  return 0;
}

constexpr luaL_Reg functions[] = {{"keys", keys}, {"keep", keep}, {nullptr, nullptr}};

}  // namespace

void publish(lua_State* state, std::string_view name, shared_dict& dict) {
  lua_getglobal(state, "ngx");
  lua_getfield(state, -1, "shared");
  lua_pushlstring(state, name.data(), name.size());
  lua_createtable(state, 1, 0);
  *static_cast<shared_dict**>(lua_newuserdata(state, sizeof(shared_dict*))) = &dict;
  lua_rawseti(state, -2, 1);
  lua_getfield(state, LUA_REGISTRYINDEX, methods_field);
  lua_setmetatable(state, -2);
  lua_rawset(state, -3);
  lua_pop(state, 2);
}

const api_area shdict_area{.name = "shdict",
                           .cdef = {
#include "lua/api/shdict.ffi.h.inc"
                           },
                           .table = &table,
                           .source = {
#include "lua/api/shdict.lua.inc"
                           },
                           .functions = functions};

}  // namespace troupe::lua
