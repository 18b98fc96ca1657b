-- SPDX-License-Identifier: Apache-2.0
-- ngx.shared.DICT: the methods of a dictionary. Its table has the zone at [1]: a userdata with the
-- dictionary's address in it (a light one would keep the JIT compiler from calling C with it).
local c, ngx, native, check = ...
local ffi = require "ffi"
local type, error, tostring, tonumber, select = type, error, tostring, tonumber, select
local ffi_string, ffi_new = ffi.string, ffi.new
local c_get, c_put_text, c_put_number, c_increment = c.get, c.put_text, c.put_number, c.increment

-- dict_errc
local texts = {
  "not found", "exists", "not a number", "no memory", "value is a list", "value not a list",
}
local not_found, too_small = 1, 7
local longest_key = 65535

local result = ffi_new("troupe_shdict_result")
local room_bytes = 4096
local room = ffi_new("char[?]", room_bytes)

local dict = {}
dict.__index = dict
native.keep(dict)
ngx.shared = {}

-- Arguments ---------------------------------------------------------------------------------------

local function zone_of(self)
  if type(self) ~= "table" then error('bad "zone" argument', 3) end
  local zone = self[1]
  if type(zone) ~= "userdata" or zone == check.null then error('bad "zone" argument', 3) end
  return zone
end

local function key_of(key)
  if type(key) ~= "string" then
    if key == nil then return nil, "nil key" end
    key = tostring(key)
  end
  local length = #key
  if length == 0 then return nil, "empty key" end
  if length > longest_key then return nil, "key too long" end
  return key
end

-- For the list methods, which count their arguments and turn no booleans or tables into keys.
local function list_key_of(key)
  local kind = type(key)
  if kind ~= "string" and kind ~= "number" and kind ~= "nil" then
    check.argument_error(1, "string expected, got " .. kind, 2)
  end
  return key_of(key)
end

-- How many at most, 0: all.
local function count_of(count, default)
  if count == nil then return default end
  local number = tonumber(count)
  if not number then
    check.argument_error(1, "number expected, got " .. type(count), 2)
  end
  -- One below zero is never reached.
  return number < 0 and 0 or number
end

-- Reading -----------------------------------------------------------------------------------------

local function value_now()
  local kind = result.kind
  if kind == 2 then return ffi_string(room, result.text_bytes) end
  if kind == 1 then return result.number end
  return result.number ~= 0
end

local function grow()
  room_bytes = tonumber(result.text_bytes) * 2
  room = ffi_new("char[?]", room_bytes)
end

-- Apart, because a trace does not take a loop in. Another thread may store something larger
-- meanwhile.
local function read_large(zone, key, with_expired)
  local code
  repeat
    grow()
    code = c_get(zone, key, #key, room, room_bytes, with_expired, result)
  until code ~= too_small
  return code
end

local function read(zone, key, with_expired)
  local code = c_get(zone, key, #key, room, room_bytes, with_expired, result)
  if code == too_small then return read_large(zone, key, with_expired) end
  return code
end

function dict:get(key)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  local code = read(zone, name, 0)
  if code ~= 0 then
    if code == not_found then return nil end
    return nil, texts[code]
  end
  local flags = result.flags
  if flags ~= 0 then return value_now(), flags end
  return value_now()
end

function dict:get_stale(key)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  local code = read(zone, name, 1)
  if code ~= 0 then
    if code == not_found then return nil end
    return nil, texts[code]
  end
  local flags = result.flags
  local is_stale = result.is_stale == 1
  if flags ~= 0 then return value_now(), flags, is_stale end
  return value_now(), nil, is_stale
end

-- Writing -----------------------------------------------------------------------------------------

local function store(self, how, key, value, life, flags)
  local zone = zone_of(self)
  if not life then
    life = 0
  elseif life < 0 then
    error('bad "exptime" argument', 2)
  end
  local name, err = key_of(key)
  if not name then return nil, err end
  flags = flags or 0
  local kind = type(value)
  local code
  if kind == "string" then
    code = c_put_text(zone, how, name, #name, value, #value, life, flags, result)
  elseif kind == "number" then
    code = c_put_number(zone, how, name, #name, 1, value, life, flags, result)
  elseif kind == "boolean" then
    code = c_put_number(zone, how, name, #name, 0, value and 1 or 0, life, flags, result)
  elseif kind == "nil" then
    if how ~= 0 and how ~= 4 then return false, "attempt to add or replace nil values", false end
    c.remove(zone, name, #name)
    return true, nil, false
  else
    return nil, "bad value type"
  end
  if code == 0 then return true, nil, result.forcible == 1 end
  return false, texts[code], result.forcible == 1
end

function dict:set(key, value, life, flags) return store(self, 0, key, value, life, flags) end
function dict:add(key, value, life, flags) return store(self, 1, key, value, life, flags) end
function dict:replace(key, value, life, flags) return store(self, 2, key, value, life, flags) end
function dict:safe_set(key, value, life, flags) return store(self, 4, key, value, life, flags) end
function dict:safe_add(key, value, life, flags) return store(self, 5, key, value, life, flags) end
function dict:delete(key) return store(self, 0, key, nil) end

function dict:incr(key, by, init, life)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  if type(by) ~= "number" then
    by = tonumber(by)
    if not by then error("cannot convert 'nil' to 'double'", 2) end
  end
  if init and type(init) ~= "number" then
    local number = tonumber(init)
    if not number then error("bad init arg: number expected, got " .. type(init), 2) end
    init = number
  end
  if life ~= nil then
    local seconds = tonumber(life)
    if not seconds then error("bad init_ttl arg: number expected, got " .. type(life), 2) end
    if seconds < 0 then error('bad "init_ttl" argument', 2) end
    if not init then error('must provide "init" when providing "init_ttl"', 2) end
    life = seconds
  end
  local code = c_increment(zone, name, #name, by, init and 1 or 0, init or 0, life or 0, result)
  if code ~= 0 then return nil, texts[code] end
  if not init then return result.number end
  return result.number, nil, result.forcible == 1
end

-- Lists -------------------------------------------------------------------------------------------

local function push(list_end, count, self, key, value)
  if count ~= 3 then error("expecting 3 arguments, but only seen " .. count, 2) end
  local zone = zone_of(self)
  local name, err = list_key_of(key)
  if not name then return nil, err end
  local kind = type(value)
  local code
  if kind == "string" then
    code = c.push_text(zone, list_end, name, #name, value, #value, result)
  elseif kind == "number" then
    code = c.push_number(zone, list_end, name, #name, value, result)
  else
    return nil, "bad value type"
  end
  if code ~= 0 then return nil, texts[code] end
  return result.number
end

function dict.lpush(...)
  local self, key, value = ...
  return push(0, select("#", ...), self, key, value)
end

function dict.rpush(...)
  local self, key, value = ...
  return push(1, select("#", ...), self, key, value)
end

local function pop_large(zone, list_end, key)
  local code
  repeat
    grow()
    code = c.pop(zone, list_end, key, #key, room, room_bytes, result)
  until code ~= too_small
  return code
end

local function pop(list_end, count, self, key)
  if count ~= 2 then error("expecting 2 arguments, but only seen " .. count, 2) end
  local zone = zone_of(self)
  local name, err = list_key_of(key)
  if not name then return nil, err end
  local code = c.pop(zone, list_end, name, #name, room, room_bytes, result)
  if code == too_small then code = pop_large(zone, list_end, name) end
  if code ~= 0 then
    if code == not_found then return nil end
    return nil, texts[code]
  end
  return value_now()
end

function dict.lpop(...)
  local self, key = ...
  return pop(0, select("#", ...), self, key)
end

function dict.rpop(...)
  local self, key = ...
  return pop(1, select("#", ...), self, key)
end

function dict.llen(...)
  local count = select("#", ...)
  if count ~= 2 then error("expecting 2 arguments, but only seen " .. count, 2) end
  local self, key = ...
  local zone = zone_of(self)
  local name, err = list_key_of(key)
  if not name then return nil, err end
  local code = c.length(zone, name, #name, result)
  if code ~= 0 then return nil, texts[code] end
  return result.number
end

-- Lives -------------------------------------------------------------------------------------------

function dict:ttl(key)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  if c.time_left(zone, name, #name, result) ~= 0 then return nil, "not found" end
  return result.number
end

function dict:expire(key, life)
  local zone = zone_of(self)
  if not life or life < 0 then error('bad "exptime" argument', 2) end
  local name, err = key_of(key)
  if not name then return nil, err end
  if c.expire(zone, name, #name, life) ~= 0 then return nil, "not found" end
  return true
end

function dict:flush_all() c.flush_all(zone_of(self)) end

function dict:flush_expired(most)
  return tonumber(c.flush_expired(zone_of(self), count_of(most, 0)))
end

-- The whole ---------------------------------------------------------------------------------------

function dict:get_keys(most) return native.keys(zone_of(self), count_of(most, 1024)) end
function dict:capacity() return tonumber(c.capacity(zone_of(self))) end
function dict:free_space() return tonumber(c.free_space(zone_of(self))) end
