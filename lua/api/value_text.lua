-- SPDX-License-Identifier: Apache-2.0
-- Values as ngx.say and ngx.print show them; value_text.hpp says how areas use it.
local c, _, _, check = ...
local ffi = require "ffi"
local type, next, rawget = type, next, rawget
local floor = math.floor
local ffi_string = ffi.string
local number = c.number
local null = check.null
local argument_error = check.argument_error

local room = ffi.new("char[32]")

-- At most 14 digits, as everywhere in Lua: 1e14 is "1e+14".
function check.number_text(n)
  return ffi_string(room, number(room, n))
end
local number_text = check.number_text

-- Of what `printable` let through, but tables.
function check.text_of(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return number_text(value) end
  if kind == "boolean" then return value and "true" or "false" end
  if kind == "nil" then return "nil" end
  return "null"
end

-- Positions beyond this are no array's: to say all the holes before one would take minutes.
local last_position = 2 ^ 31 - 1

-- The length of an array table, holes included; nil if it has keys that are no positions.
local function array_size(t)
  local size = 0
  for key in next, t do
    if type(key) ~= "number" or key < 1 or key > last_position or floor(key) ~= key then
      return nil
    end
    if key > size then size = key end
  end
  return size
end
check.array_size = array_size

-- By the type first: a NULL pointer of FFI equals nil and ngx.null.
local function has_text(value, kind)
  return kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" or
      (kind == "userdata" and value == null)
end

local function check_array(t, index, level)
  local size = array_size(t)
  if not size then argument_error(index, "non-array table found", level + 1) end
  for i = 1, size do
    local value = rawget(t, i)
    local kind = type(value)
    if kind == "table" then
      check_array(value, index, level + 1)
    elseif not has_text(value, kind) then
      argument_error(index, "bad data type " .. kind .. " found", level + 1)
    end
  end
end

-- Raises if ngx.print and its kin cannot say the value. `level`: of the API function, 1 if it is
-- that one which calls this.
function check.printable(value, index, level)
  local kind = type(value)
  if kind == "table" then
    check_array(value, index, level + 1)
  elseif not has_text(value, kind) then
    argument_error(index, "string, number, boolean, nil, ngx.null, or array table expected, but got "
                   .. kind, level + 1)
  end
end
