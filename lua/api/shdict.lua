-- SPDX-License-Identifier: Apache-2.0
-- ngx.shared.DICT: the methods of a dictionary. Its table has the zone at [1].
local c, ngx, native, check = ...
local ffi = require "ffi"
local type, error, tostring, tonumber = type, error, tostring, tonumber
local ffi_string = ffi.string
local c_get, c_put, c_increment = c.get, c.put, c.increment

local texts = { "not found", "exists", "not a number", "no memory" }
local too_small = 5
local longest_key = 65535

local kind = ffi.new("int[1]")
local number = ffi.new("double[1]")
local size = ffi.new("size_t[1]")
local flag_bits = ffi.new("int[1]")
local is_stale = ffi.new("int[1]")
local forcible = ffi.new("int[1]")
local room_size = 4096
local room = ffi.new("char[?]", room_size)

local dict = {}
dict.__index = dict
native.keep(dict)
ngx.shared = {}

local function zone_of(self)
  if type(self) ~= "table" then error('bad "zone" argument', 3) end
  local zone = self[1]
  if type(zone) ~= "userdata" then error('bad "zone" argument', 3) end
  return zone
end

local function key_of(key)
  if key == nil then return nil, "nil key" end
  if type(key) ~= "string" then key = tostring(key) end
  local length = #key
  if length == 0 then return nil, "empty key" end
  if length > longest_key then return nil, "key too long" end
  return key
end

local function value_now()
  local now = kind[0]
  if now == 2 then return ffi_string(room, size[0]) end
  if now == 1 then return number[0] end
  return number[0] ~= 0
end

local function read(zone, key, stale)
  size[0] = room_size
  local code = c_get(zone, key, #key, stale, kind, number, room, size, flag_bits, is_stale)
  if code == too_small then
    -- Another thread may make it larger again meanwhile.
    repeat
      room_size = tonumber(size[0]) * 2
      room = ffi.new("char[?]", room_size)
      size[0] = room_size
      code = c_get(zone, key, #key, stale, kind, number, room, size, flag_bits, is_stale)
    until code ~= too_small
  end
  return code
end

function dict:get(key)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  if read(zone, name, 0) ~= 0 then return nil end
  local flags = flag_bits[0]
  if flags ~= 0 then return value_now(), flags end
  return value_now()
end

function dict:get_stale(key)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  if read(zone, name, 1) ~= 0 then return nil end
  local flags = flag_bits[0]
  return value_now(), flags ~= 0 and flags or nil, is_stale[0] == 1
end

local function store(self, how, key, value, life, flags)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  if life == nil then
    life = 0
  else
    life = tonumber(life)
    if not life or life < 0 then error('bad "exptime" argument', 3) end
  end
  flags = tonumber(flags) or 0
  local value_type = type(value)
  local code
  if value_type == "string" then
    code = c_put(zone, how, name, #name, 2, 0, value, #value, life, flags, forcible)
  elseif value_type == "number" then
    code = c_put(zone, how, name, #name, 1, value, nil, 0, life, flags, forcible)
  elseif value_type == "boolean" then
    code = c_put(zone, how, name, #name, 0, value and 1 or 0, nil, 0, life, flags, forcible)
  elseif value_type == "nil" then
    if how % 4 ~= 0 then return false, "attempt to add or replace nil values", false end
    c.remove(zone, name, #name)
    return true, nil, false
  else
    return nil, "bad value type"
  end
  if code == 0 then return true, nil, forcible[0] == 1 end
  return false, texts[code], forcible[0] == 1
end

function dict:set(key, value, life, flags) return store(self, 0, key, value, life, flags) end
function dict:add(key, value, life, flags) return store(self, 1, key, value, life, flags) end
function dict:replace(key, value, life, flags) return store(self, 2, key, value, life, flags) end
function dict:safe_set(key, value, life, flags) return store(self, 4, key, value, life, flags) end
function dict:safe_add(key, value, life, flags) return store(self, 5, key, value, life, flags) end

function dict:delete(key)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  c.remove(zone, name, #name)
  return true
end

function dict:incr(key, by, init, life)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  if type(by) ~= "number" then
    by = tonumber(by)
    if not by then error("cannot convert 'nil' to 'double'", 2) end
  end
  if init ~= nil then
    local start = tonumber(init)
    if not start then error("bad init arg: number expected, got " .. type(init), 2) end
    init = start
  end
  if life ~= nil then
    local seconds = tonumber(life)
    if not seconds then error("bad init_ttl arg: number expected, got " .. type(life), 2) end
    if seconds < 0 then error('bad "init_ttl" argument', 2) end
    if init == nil then error('must provide "init" when providing "init_ttl"', 2) end
    life = seconds
  end
  local code = c_increment(zone, name, #name, by, init and 1 or 0, init or 0, life or 0, number,
                           forcible)
  if code ~= 0 then return nil, texts[code], init and forcible[0] == 1 or nil end
  if init == nil then return number[0] end
  return number[0], nil, forcible[0] == 1
end

function dict:ttl(key)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  local left = c.time_left(zone, name, #name)
  if left < 0 then return nil, "not found" end
  return left
end

function dict:expire(key, life)
  local zone = zone_of(self)
  local name, err = key_of(key)
  if not name then return nil, err end
  if type(life) ~= "number" or life < 0 then error('bad "exptime" argument', 2) end
  if c.expire(zone, name, #name, life) == 0 then return nil, "not found" end
  return true
end

function dict:flush_all() c.flush_all(zone_of(self)) end
function dict:flush_expired(most) return tonumber(c.flush_expired(zone_of(self), most or 0)) end
function dict:get_keys(most) return native.keys(zone_of(self), most or 1024) end
function dict:capacity() return tonumber(c.capacity(zone_of(self))) end
function dict:free_space() return tonumber(c.free_space(zone_of(self))) end
