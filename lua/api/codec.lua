-- SPDX-License-Identifier: Apache-2.0
-- ngx.escape_uri, ngx.unescape_uri, ngx.encode_args, ngx.decode_args, base64, ngx.quote_sql_str.
local c, ngx, _, check = ...
local ffi = require "ffi"
local type, error, tostring, tonumber = type, error, tostring, tonumber
local select, next = select, next
local floor = math.floor
local new_table = require "table.new"
local ffi_string, ffi_new = ffi.string, ffi.new
local text_of, buffer = check.text, check.buffer
local text_argument, argument_error = check.text_argument, check.argument_error
local escaped_growth, c_escape, c_unescape = c.escaped_growth, c.escape_uri, c.unescape_uri
local c_write_arg = c.write_arg

-- URIs --------------------------------------------------------------------------------------------

local component = 2

local function escape(text, kind)
  local size = #text
  local growth = tonumber(escaped_growth(text, size, kind))
  if growth == 0 then return text end
  local out = buffer(size + growth)
  c_escape(text, size, kind, out)
  return ffi_string(out, size + growth)
end
check.escape_uri = escape

function ngx.escape_uri(value, kind)
  if kind == nil then
    kind = component
  elseif type(kind) ~= "number" then
    error("\"type\" is not a number", 3)
  elseif kind < 0 or kind > 6 then
    error("\"type\" " .. kind .. " out of range", 3)
  end
  return escape(text_of(value), kind)
end

function ngx.unescape_uri(value)
  local text = text_of(value)
  local size = #text
  local out = buffer(size)
  return ffi_string(out, c_unescape(text, size, out))
end

-- Query arguments ---------------------------------------------------------------------------------

-- Where the pairs of a text lie; one array for the common case of no more than a hundred.
local kept = 100
local arg_array = ffi.typeof("troupe_ffi_arg[?]")
local kept_array = arg_array(kept)

-- Puts the pairs of a string, or of bytes in C's memory, into `tab` or a new table. `max` below 1:
-- all of them. Pairs without a key are left out; whether they count is what tells ngx.decode_args
-- and ngx.req.get_post_args from ngx.req.get_uri_args.
local function parse_args(text, size, max, keyless_count, tab)
  local limit = c.count_args(text, size)
  local truncated
  if max > 0 and limit > max then
    limit = floor(max)
    truncated = "truncated"
  end
  local found = limit <= kept and kept_array or arg_array(limit)
  local decoded = buffer(size)
  local count = c.parse_args(text, size, limit, keyless_count and 1 or 0, decoded, found)
  local args = tab or new_table(0, count)
  for i = 0, count - 1 do
    local arg = found[i]
    local key = ffi_string(decoded + arg.key_at, arg.key_size)
    local value = true
    if arg.value_size >= 0 then value = ffi_string(decoded + arg.value_at, arg.value_size) end
    local before = args[key]
    if before == nil then
      args[key] = value
    elseif type(before) == "table" then
      before[#before + 1] = value
    else
      args[key] = { before, value }
    end
  end
  if truncated then
    c.log_limit(limit)
    return args, truncated
  end
  return args
end
check.parse_args = parse_args

function ngx.decode_args(...)
  local count = select("#", ...)
  if count ~= 1 and count ~= 2 then
    error("expecting 1 or 2 arguments but seen " .. count, 2)
  end
  local text, max = ...
  text = text_argument(text, 1)
  if count == 1 then
    max = 100
  else
    local number = tonumber(max)
    if not number then argument_error(2, "number expected, got " .. type(max), 1) end
    max = number
  end
  return parse_args(text, #text, max, true)
end

-- The query string that is being made; longer ones than `kept_room` get a buffer of their own.
local kept_room = 16384
local kept_bytes = ffi_new("char[?]", kept_room)
local room, bytes = kept_room, kept_bytes

-- Appends a pair, or without a value a bare key, behind `at`. Raises at `level` of its caller.
local function put_arg(at, key, value, level)
  local value_size = 0
  if value == true then
    value = nil
  else
    local kind = type(value)
    if kind == "number" then
      value = tostring(value)
    elseif kind ~= "string" then
      error("attempt to use " .. kind .. " as query arg value", level + 1)
    end
    value_size = #value
  end
  local most = at + 3 * (#key + value_size) + 2
  if most > room then
    local longer = ffi_new("char[?]", 2 * most)
    ffi.copy(longer, bytes, at)
    room, bytes = 2 * most, longer
  end
  return c_write_arg(bytes, at, key, #key, value, value_size)
end

-- The pairs of a table as a query string. Raises at the caller's caller, or `level` above that.
function check.encode_args(args, level)
  level = 3 + (level or 0)
  room, bytes = kept_room, kept_bytes
  local at = 0
  for key, value in next, args do
    if type(key) ~= "string" then
      error("attempt to use a non-string key in the \"args\" option table", level)
    end
    if type(value) == "table" then
      for _, element in next, value do
        if element ~= false then at = put_arg(at, key, element, level) end
      end
    elseif value ~= false then
      at = put_arg(at, key, value, level)
    end
  end
  local text = ffi_string(bytes, at)
  room, bytes = kept_room, kept_bytes
  return text
end

function ngx.encode_args(...)
  local count = select("#", ...)
  if count ~= 1 then error("expecting 1 argument but seen " .. count, 2) end
  local args = ...
  if type(args) ~= "table" then
    argument_error(1, "table expected, got " .. type(args), 1)
  end
  local text = check.encode_args(args)
  return text
end

-- Base64 ------------------------------------------------------------------------------------------

local standard, url, mime = 0, 1, 2
local c_encode64, c_decode64 = c.encode_base64, c.decode_base64

local function encode64(text, form, padded)
  local size = #text
  local out = buffer(floor((size + 2) / 3) * 4)
  return ffi_string(out, c_encode64(text, size, out, form, padded))
end

local function decode64(text, form)
  local size = #text
  local out = buffer(floor((size + 3) / 4) * 3)
  local decoded = c_decode64(text, size, out, form)
  if decoded < 0 then return nil end
  return ffi_string(out, decoded)
end

function ngx.encode_base64(value, no_padding)
  if no_padding and no_padding ~= true then
    error("bad no_padding: boolean expected, got " .. type(no_padding), 2)
  end
  return encode64(text_of(value), standard, no_padding and 0 or 1)
end

function ngx.decode_base64(text)
  if type(text) ~= "string" then error("string argument only", 2) end
  return decode64(text, standard)
end

function ngx.decode_base64mime(text)
  if type(text) ~= "string" then error("string argument only", 2) end
  return decode64(text, mime)
end

package.preload["ngx.base64"] = function()
  local base64 = {}

  function base64.encode_base64url(text)
    if type(text) ~= "string" then return nil, "must provide a string" end
    return encode64(text, url, 0)
  end

  function base64.decode_base64url(text)
    if type(text) ~= "string" then return nil, "must provide a string" end
    local decoded = decode64(text, url)
    if not decoded then return nil, "invalid input" end
    return decoded
  end

  return base64
end

-- SQL ---------------------------------------------------------------------------------------------

function ngx.quote_sql_str(...)
  if select("#", ...) ~= 1 then error("expecting one argument", 2) end
  local text = text_argument((...), 1)
  local size = #text
  local whole = size + tonumber(c.quoted_growth(text, size)) + 2
  local out = buffer(whole)
  c.quote_sql(text, size, out)
  return ffi_string(out, whole)
end
