-- SPDX-License-Identifier: Apache-2.0
-- ngx.header, ngx.resp.get_headers, ngx.resp.add_header; ngx.req.get_headers, set_header,
-- clear_header.
local c, ngx, _, check = ...
local ffi = require "ffi"
local new_table = require "table.new"
local type, error, tostring, setmetatable, rawget = type, error, tostring, setmetatable, rawget
local lower, gsub, find = string.lower, string.gsub, string.find
local ffi_string = ffi.string
local c_set_response, c_clear_response = c.set_response, c.clear_response
local c_set_request, c_clear_request = c.set_request, c.clear_request

local default_max = 100
local room = 128
local fields = ffi.new("troupe_ffi_field[?]", room)

local function grow(count)
  room = count + 32
  fields = ffi.new("troupe_ffi_field[?]", room)
end

local function no_request() error(check.no_request(), 3) end

-- Tables of headers answer to any case and to `_` for `-`.
local folded = {
  __index = function(t, key)
    if type(key) ~= "string" then return nil end
    local name = lower(key)
    if find(name, "_", 1, true) then name = gsub(name, "_", "-") end
    return rawget(t, name)
  end,
}

local function collect(count, max, raw)
  local truncated
  if max > 0 and count > max then
    count, truncated = max, "truncated"
  end
  local headers = new_table(0, count)
  for i = 0, count - 1 do
    local field = fields[i]
    local name = ffi_string(field.name, field.name_size)
    if not raw then name = lower(name) end
    local value = ffi_string(field.value, field.value_size)
    local before = headers[name]
    if before == nil then
      headers[name] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      headers[name] = { before, value }
    end
  end
  if not raw then setmetatable(headers, folded) end
  return headers, truncated
end

local function limit(max)
  if max == nil then return default_max end
  if type(max) ~= "number" then
    error("bad argument #1 to 'get_headers' (number expected, got " .. type(max) .. ")", 3)
  end
  if max < 0 then return default_max end
  return max
end

ngx.req = ngx.req or {}
ngx.resp = ngx.resp or {}

local function get_headers(read, what)
  return function(max, raw)
    max = limit(max)
    local count = read(fields, room)
    if count > room then
      grow(count)
      count = read(fields, room)
    end
    if count < 0 then no_request() end
    if max > 0 and count > max then
      ngx.log(ngx.DEBUG, "lua exceeding ", what, " header limit ", count, " > ", max)
    end
    return collect(count, max, raw)
  end
end

ngx.req.get_headers = get_headers(c.request_fields, "request")
ngx.resp.get_headers = get_headers(c.response_fields, "response")

-- ngx.header --------------------------------------------------------------------------------------

local function name_text(name)
  if type(name) == "string" then return name end
  return tostring(name)
end

local function get_response(_, name)
  name = name_text(name)
  local count = c.response_values(name, #name, fields, room)
  if count == 0 then return nil end
  if count < 0 then error(check.no_request(), 2) end
  if count == 1 then return ffi_string(fields[0].value, fields[0].value_size) end
  if count > default_max then count = default_max end
  local values = new_table(count, 0)
  for i = 0, count - 1 do values[i + 1] = ffi_string(fields[i].value, fields[i].value_size) end
  return values
end

local function put_response(name, value, append, level)
  if type(value) ~= "string" then value = tostring(value) end
  local code = c_set_response(name, #name, value, #value, append)
  if code == 2 then error("failed to set header", level) end
end

local function set_response(_, name, value)
  local may = c.complain_sent()
  if may == 0 then return end
  if may < 0 then error(check.no_request(), 2) end
  name = name_text(name)
  if value == nil then
    c_clear_response(name, #name)
  elseif type(value) == "table" then
    if #value == 0 then
      c_clear_response(name, #name)
    else
      for i = 1, #value do put_response(name, value[i], i == 1 and 0 or 1, 3) end
    end
  else
    put_response(name, value, 0, 3)
  end
end

ngx.header = setmetatable({}, { __index = get_response, __newindex = set_response })
check.set_response_header = set_response

function ngx.resp.add_header(name, value)
  local may = c.complain_sent()
  if may == 0 then return end
  if may < 0 then no_request() end
  if value == nil then error("invalid header value", 2) end
  name = name_text(name)
  if type(value) == "table" then
    for i = 1, #value do put_response(name, value[i], 1, 3) end
  else
    put_response(name, value, 1, 3)
  end
end

-- Request headers ---------------------------------------------------------------------------------

local function put_request(name, value, append)
  if type(value) ~= "string" then value = tostring(value) end
  if c_set_request(name, #name, value, #value, append) < 0 then error(check.no_request(), 3) end
end

local function request_name(name)
  if name == nil then error("bad 'name' argument: string expected, got nil", 3) end
  return name_text(name)
end

function ngx.req.set_header(name, value)
  name = request_name(name)
  if value == nil then
    if c_clear_request(name, #name) < 0 then no_request() end
  elseif type(value) == "table" then
    if #value == 0 then
      if c_clear_request(name, #name) < 0 then no_request() end
    end
    for i = 1, #value do put_request(name, value[i], i == 1 and 0 or 1) end
  else
    put_request(name, value, 0)
  end
end

function ngx.req.clear_header(name)
  name = request_name(name)
  if c_clear_request(name, #name) < 0 then no_request() end
end

local request_module = { version = check.resty_core_version }
function request_module.add_header(name, value)
  name = request_name(name)
  if value == nil then
    error("bad 'value' argument: string or table expected, got nil", 2)
  end
  if type(value) == "table" then
    if #value == 0 then error("bad 'value' argument: non-empty table expected", 2) end
    for i = 1, #value do put_request(name, value[i], 1) end
  else
    put_request(name, value, 1)
  end
end

-- Not in ngx.req: only who requires the module has it.
package.loaded["ngx.req"] = request_module
