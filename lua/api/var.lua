-- SPDX-License-Identifier: Apache-2.0
-- ngx.var and ngx.arg.
local c, ngx, _, check = ...
local ffi = require "ffi"
local type, error, tostring, setmetatable, concat = type, error, tostring, setmetatable, table.concat
local ffi_string = ffi.string
local c_get, c_set, c_capture = c.get, c.set, c.capture
local text = ffi.new("const char*[1]")
local size = ffi.new("size_t[1]")
local eof = ffi.new("int[1]")

local function get(_, name)
  local code
  local kind = type(name)
  if kind == "string" then
    code = c_get(name, #name, text, size)
  elseif kind == "number" then
    code = c_capture(name, text, size)
  else
    error("bad variable name", 2)
  end
  if code == 0 then return ffi_string(text[0], size[0]) end
  if code < 0 then error(check.no_request(), 2) end
  return nil
end

local function set(_, name, value)
  if type(name) ~= "string" then error("bad variable name", 2) end
  local code
  if value == nil then
    code = c_set(name, #name, nil, 0)
  else
    if type(value) ~= "string" then value = tostring(value) end
    code = c_set(name, #name, value, #value)
  end
  if code == 0 then return end
  if code == 2 then error('variable "' .. name .. '" not changeable', 2) end
  if code < 0 then error(check.no_request(), 2) end
  error('variable "' .. name .. '" not found for writing; maybe it is a built-in variable that is ' ..
        "not changeable or you forgot to use \"set $" .. name .. " '';\" in the config file to " ..
        "define it first", 2)
end

ngx.var = setmetatable({}, { __index = get, __newindex = set })

-- ngx.arg: in set_by_lua the arguments, in body filters chunk and eof.

local function flatten(value, out)
  if type(value) == "table" then
    local n = check.array_size(value)
    if not n then error("bad chunk data type: table", 4) end
    for i = 1, n do flatten(value[i], out) end
  else
    out[#out + 1] = check.text_of(value)
  end
  return out
end

ngx.arg = setmetatable({}, {
  __index = function(_, index)
    if c.get_chunk(text, size, eof) == 0 then
      if index == 1 then return ffi_string(text[0], size[0]) end
      if index == 2 then return eof[0] == 1 end
      error("bad index: " .. tostring(index), 2)
    end
    if type(index) == "number" then
      local code = c.set_argument(index, text, size)
      if code == 0 then return ffi_string(text[0], size[0]) end
      if code > 0 then return nil end
    end
    error("API disabled in the current context", 2)
  end,
  __newindex = function(_, index, value)
    if c.get_chunk(text, size, eof) ~= 0 then error(check.disabled(), 2) end
    if index == 1 then
      local kind = type(value)
      if kind == "string" or kind == "number" then
        local bytes = tostring(value)
        c.set_chunk(bytes, #bytes)
      elseif kind == "nil" then
        c.set_chunk("", 0)
      elseif kind == "table" then
        local bytes = concat(flatten(value, {}))
        c.set_chunk(bytes, #bytes)
      else
        error("bad chunk data type: " .. kind, 2)
      end
    elseif index == 2 then
      c.set_eof(value and 1 or 0)
    else
      error("bad index: " .. tostring(index), 2)
    end
  end,
})
