-- SPDX-License-Identifier: Apache-2.0
-- What the areas of the API share: checks of arguments with ngx_lua's texts, values as text, and
-- the magic keys of `ngx` (ngx.status, ngx.ctx …).
local error, type, tostring, pairs, getmetatable = error, type, tostring, pairs, getmetatable
local floor, format = math.floor, string.format
local band = require("bit").band

local check = {}

-- The lua-resty-core whose modules ours stand in for.
check.resty_core_version = "0.1.33"

-- nil and false count as "", other values become strings (ngx.escape_uri, ngx.md5 …).
function check.text(value)
  if type(value) == "string" then return value end
  if not value then return "" end
  return tostring(value)
end

-- A string and nothing else, or: string argument only
function check.string_only(value)
  if type(value) ~= "string" then error("string argument only", 3) end
  return value
end

-- A number and nothing else, or: number argument only
function check.number_only(value)
  if type(value) ~= "number" then error("number argument only", 3) end
  return value
end

-- Room for the results of C functions: one buffer for all, good until the next call that asks for
-- it; more than that is made for the caller alone.
local ffi_new = require("ffi").new
local kept_bytes = 16384
local kept_buffer = ffi_new("char[?]", kept_bytes)
function check.buffer(size)
  if size <= kept_bytes then return kept_buffer end
  return ffi_new("char[?]", size)
end

-- Phases ------------------------------------------------------------------------------------------

local current_phase, phase_text

-- core.lua gives the functions that know the phase.
function check.bind_phases(current, text, output_phases)
  current_phase, phase_text = current, text
  check.output_phases = output_phases
end

function check.disabled()
  return "API disabled in the context of " .. phase_text()
end

function check.no_request()
  if current_phase() <= 1 then return "no request found" end
  return "API disabled in the current context"
end

-- Raises unless the running phase is in `set`.
function check.phase(set)
  local now = current_phase()
  if band(now, set) == 0 then
    if now <= 1 then error("no request found", 3) end
    error(check.disabled(), 3)
  end
end

-- Values as text ----------------------------------------------------------------------------------

-- Integers without exponent as far as a double counts them one by one.
local function number_text(n)
  if n == floor(n) and n < 9007199254740992 and n > -9007199254740992 and n ~= 0 then
    return format("%d", n)
  end
  return tostring(n)
end
check.number_text = number_text

function check.text_of(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return number_text(value) end
  if kind == "nil" then return "nil" end
  if kind == "boolean" then return value and "true" or "false" end
  return "null"  -- ngx.null, the only one that `printable` lets through
end

-- Lua's name of a type, as luaL_typename: light userdata is "userdata".
function check.type_name(value)
  return type(value)
end

-- The length of an array table, holes included; nil if it has keys that are no positive integers.
local function array_size(t)
  local size = 0
  for key in pairs(t) do
    if type(key) ~= "number" or key <= 0 or floor(key) ~= key then return nil end
    if key > size then size = key end
  end
  return size
end
check.array_size = array_size

local function check_array(t, index, name, level)
  local size = array_size(t)
  if not size then
    error("bad argument #" .. index .. " to '" .. name .. "' (non-array table found)", level)
  end
  for i = 1, size do
    local v = t[i]
    local kind = type(v)
    if kind == "table" then
      check_array(v, index, name, level + 1)
    elseif kind == "function" or kind == "thread" or kind == "cdata" or
        (kind == "userdata" and v ~= check.null) then
      error("bad argument #" .. index .. " to '" .. name .. "' (bad data type " .. kind .. " found)",
            level)
    end
  end
end

-- Raises if ngx.print and its kin cannot say the value.
function check.printable(value, index, name, level)
  local kind = type(value)
  if kind == "table" then return check_array(value, index, name, level + 1) end
  if kind == "function" or kind == "thread" or kind == "cdata" or
      (kind == "userdata" and value ~= check.null) then
    error("bad argument #" .. index .. " to '" .. name ..
          "' (string, number, boolean, nil, ngx.null, or array table expected, but got " .. kind ..
          ")", level)
  end
end

-- Magic keys --------------------------------------------------------------------------------------

local getters, setters = {}, {}
check.getters, check.setters = getters, setters

function check.register_getter(name, getter) getters[name] = getter end
function check.register_setter(name, setter) setters[name] = setter end

function check.install_magic_keys(ngx)
  local rawset = rawset
  return setmetatable(ngx, {
    __index = function(_, key)
      local get = getters[key]
      if get then return get() end
    end,
    __newindex = function(t, key, value)
      local set = setters[key]
      if set then return set(value) end
      rawset(t, key, value)
    end,
  })
end

return check
