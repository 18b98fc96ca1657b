-- SPDX-License-Identifier: Apache-2.0
-- What the areas of the API share: checks of arguments with ngx_lua's texts, and the magic keys of
-- `ngx` (ngx.status, ngx.ctx …).
local error, type, tostring, setmetatable = error, type, tostring, setmetatable
local band = require("bit").band
local concat = table.concat
local getinfo = debug.getinfo

local check = {}

-- A VM may be made before it is known for which app. What an area has to know of that, it asks for in
-- a function: called now, for a VM that knows, and again as soon as that is known.
check.settlers = {}
function check.settle(ask)
  ask()
  check.settlers[#check.settlers + 1] = ask
end

-- The lua-resty-core whose modules ours stand in for.
check.resty_core_version = "0.1.33"

-- Errors ------------------------------------------------------------------------------------------

-- Raises as luaL_argerror does, where the API function at `level` (1: the one that calls this) was
-- called, with the name by which it was called: "?" if only pcall knows it.
local function argument_error(index, text, level)
  level = level + 1
  local name = getinfo(level, "n").name or "?"
  error("bad argument #" .. index .. " to '" .. name .. "' (" .. text .. ")", level + 1)
end
check.argument_error = argument_error

-- The same for functions whose argument 1 is the object: in a method call it does not count.
local function method_error(index, text, level)
  local called_as = getinfo(level + 1, "n").namewhat
  argument_error(called_as == "method" and index - 1 or index, text, level + 1)
end
check.method_error = method_error

-- A string or a number; `index` counts the object. Called by a method.
function check.method_text(value, index)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  method_error(index, "string expected, got " .. kind, 2)
end

-- Arguments ---------------------------------------------------------------------------------------

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

-- A string or a number, as Lua's own C functions take it. Called by an API function.
function check.text_argument(value, index)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  argument_error(index, "string expected, got " .. kind, 2)
end

-- A number and nothing else, or: number argument only
function check.number_only(value)
  if type(value) ~= "number" then error("number argument only", 3) end
  return value
end

local function flatten(list, pieces, count, level)
  for i = 1, #list do
    local piece = list[i]
    local kind = type(piece)
    if kind == "string" then
      count = count + 1
      pieces[count] = piece
    elseif kind == "number" then
      count = count + 1
      pieces[count] = tostring(piece)
    elseif kind == "table" then
      count = flatten(piece, pieces, count, level + 1)
    else
      method_error(2, "bad data type " .. kind .. " found", level)
    end
  end
  return count
end

-- What a socket's send() takes, as a string; tables of it may be nested. `level` as method_error's.
function check.socket_data(data, level)
  local kind = type(data)
  if kind == "string" then return data end
  if kind == "table" then
    local pieces = {}
    return concat(pieces, "", 1, flatten(data, pieces, 0, level + 1))
  end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(data) end
  method_error(2, "string, number, boolean, nil, or array table expected, got " .. kind, level)
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
  if current_phase() <= 1 then return "no request found" end
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
    error(check.disabled(), 3)
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
