// SPDX-License-Identifier: Apache-2.0
//
// ngx.shared.DICT.
//
// Source   "ngx.shared.DICT" and its methods in ngx_lua's README.
// Thread   any VM's; the dictionary locks.
#include <cmath>
#include <cstddef>
#include <cstring>

extern "C" {
#include "lua/api/shdict.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/shared_dict.hpp"

namespace troupe::lua {
namespace {

constexpr int too_small = 5;

shared_dict& dict(void* zone) noexcept { return *static_cast<shared_dict*>(zone); }
std::int64_t to_ms(double seconds) noexcept {
  return seconds <= 0 ? 0 : std::max<std::int64_t>(1, std::llround(seconds * 1000));
}

int get(void* zone, const char* key, std::size_t size, int stale, int* kind, double* number,
        char* room, std::size_t* text_size, int* flags, int* is_stale) noexcept {
  const auto found = dict(zone).get({key, size}, stale != 0);
  if (found.status != dict_status::ok) return static_cast<int>(found.status);
  *flags = found.flags;
  *is_stale = found.is_stale ? 1 : 0;
  if (const auto* text = std::get_if<std::string>(&found.value)) {
    const std::size_t had = *text_size;
    *kind = 2;
    *text_size = text->size();
    if (text->size() > had) return too_small;
    std::memcpy(room, text->data(), text->size());
  } else if (const auto* n = std::get_if<double>(&found.value)) {
    *kind = 1;
    *number = *n;
  } else {
    *kind = 0;
    *number = std::get<bool>(found.value) ? 1 : 0;
  }
  return 0;
}

int put(void* zone, int how, const char* key, std::size_t size, int kind, double number,
        const char* text, std::size_t text_size, double life, int flags, int* forcible) noexcept {
  dict_value value;
  switch (kind) {
    case 0: value = number != 0; break;
    case 1: value = number; break;
    default: value = std::string(text, text_size); break;
  }
  const auto mode = static_cast<shared_dict::mode>(how & 3);
  const auto stored =
      dict(zone).put(mode, {key, size}, std::move(value), to_ms(life), flags, (how & 4) == 0);
  *forcible = stored.forcible ? 1 : 0;
  return static_cast<int>(stored.status);
}

void remove(void* zone, const char* key, std::size_t size) noexcept {
  dict(zone).remove({key, size});
}

int increment(void* zone, const char* key, std::size_t size, double by, int has_init, double init,
              double life, double* value, int* forcible) noexcept {
  const auto result =
      dict(zone).increment({key, size}, by, has_init != 0 ? &init : nullptr, to_ms(life));
  *value = result.value;
  *forcible = result.forcible ? 1 : 0;
  return static_cast<int>(result.status);
}

double time_left(void* zone, const char* key, std::size_t size) noexcept {
  const std::int64_t ms = dict(zone).time_left({key, size});
  return ms < 0 ? -1 : static_cast<double>(ms) / 1000;
}

int expire(void* zone, const char* key, std::size_t size, double life) noexcept {
  return dict(zone).expire({key, size}, to_ms(life)) ? 1 : 0;
}

void flush_all(void* zone) noexcept { dict(zone).flush_all(); }
std::size_t flush_expired(void* zone, std::size_t most) noexcept {
  return dict(zone).flush_expired(most);
}
std::size_t capacity(void* zone) noexcept { return dict(zone).capacity(); }
std::size_t free_space(void* zone) noexcept { return dict(zone).free_space(); }

constexpr troupe_ffi_shdict table{.get = get,
                                  .put = put,
                                  .remove = remove,
                                  .increment = increment,
                                  .time_left = time_left,
                                  .expire = expire,
                                  .flush_all = flush_all,
                                  .flush_expired = flush_expired,
                                  .capacity = capacity,
                                  .free_space = free_space};

// keys(zone, most)
int keys(lua_State* state) {
  auto* zone = static_cast<shared_dict*>(lua_touserdata(state, 1));
  const auto found = zone->keys(static_cast<std::size_t>(luaL_checkinteger(state, 2)));
  lua_createtable(state, static_cast<int>(found.size()), 0);
  int n = 0;
  for (const std::string& key : found) {
    lua_pushlstring(state, key.data(), key.size());
    lua_rawseti(state, -2, ++n);
  }
  return 1;
}

// keep(metatable): for publish().
int keep(lua_State* state) {
  lua_settop(state, 1);
  lua_setfield(state, LUA_REGISTRYINDEX, "troupe.shared_dict");
  return 0;
}

constexpr luaL_Reg functions[] = {{"keys", keys}, {"keep", keep}, {nullptr, nullptr}};

}  // namespace

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
