-- SPDX-License-Identifier: Apache-2.0
-- The global `ndk`: ndk.set_var.DIRECTIVE(value).
local _, ngx = ...
local type, error, tostring, tonumber = type, error, tostring, tonumber
local byte, char, find, format, gsub = string.byte, string.char, string.find, string.format,
  string.gsub
local concat = table.concat
local bit = require "bit"
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift

local function to_hex(text)
  return (gsub(text, ".", function(c) return format("%02x", byte(c)) end))
end

-- nil if the text is no hexadecimal number of whole bytes.
local function from_hex(text)
  if #text % 2 ~= 0 or find(text, "%X") then return nil end
  return (gsub(text, "..", function(digits) return char(tonumber(digits, 16)) end))
end

-- Base 32 with the digits of RFC 4648's "extended hex" alphabet in lower case, padded with "=".
local alphabet = "0123456789abcdefghijklmnopqrstuv"

local function to_base32(text)
  local out, bits, count = {}, 0, 0
  for i = 1, #text do
    bits = bor(lshift(band(bits, 0xf), 8), byte(text, i))
    count = count + 8
    while count >= 5 do
      count = count - 5
      local digit = band(rshift(bits, count), 31)
      out[#out + 1] = alphabet:sub(digit + 1, digit + 1)
    end
  end
  if count > 0 then
    local digit = band(lshift(bits, 5 - count), 31)
    out[#out + 1] = alphabet:sub(digit + 1, digit + 1)
  end
  while #out % 8 ~= 0 do out[#out + 1] = "=" end
  return concat(out)
end

local function from_base32(text)
  local out, bits, count = {}, 0, 0
  for digit in gsub(text, "=+$", ""):gmatch(".") do
    local value = find(alphabet, digit:lower(), 1, true)
    if not value then return nil end
    bits = bor(lshift(band(bits, 0x7f), 5), value - 1)
    count = count + 5
    if count >= 8 then
      count = count - 8
      out[#out + 1] = char(band(rshift(bits, count), 255))
    end
  end
  return concat(out)
end

local json_escapes = {
  ["\\"] = "\\\\", ["\""] = "\\\"", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
  ["\r"] = "\\r", ["\t"] = "\\t",
}

local function quote_json(text)
  if text == "" then return "null" end
  return '"' .. gsub(text, '[%z\1-\31\\"]', function(c)
    return json_escapes[c] or format("\\u%04x", byte(c))
  end) .. '"'
end

local directives = {
  set_escape_uri = ngx.escape_uri,
  set_unescape_uri = ngx.unescape_uri,
  set_encode_base64 = ngx.encode_base64,
  set_decode_base64 = ngx.decode_base64,
  set_md5 = ngx.md5,
  set_sha1 = function(text) return to_hex(ngx.sha1_bin(text)) end,
  set_quote_sql_str = ngx.quote_sql_str,
  set_quote_json_str = quote_json,
  set_encode_hex = to_hex,
  set_decode_hex = from_hex,
  set_encode_base32 = to_base32,
  set_decode_base32 = from_base32,
}

local made = {}  -- The functions that were asked for, by name.

ndk = {
  set_var = setmetatable({}, {
    __index = function(_, name)
      if made[name] then return made[name] end
      name = tostring(name)
      local directive = directives[name]
      if not directive then
        error("ndk.set_var: directive \"" .. name ..
              "\" not found or does not use ndk_set_var_value", 2)
      end
      made[name] = function(value)
        local result = directive(type(value) == "string" and value or tostring(value))
        if not result then error("calling directive " .. name .. " failed with code -1", 2) end
        return result
      end
      return made[name]
    end,
    __newindex = function() error("not allowed", 2) end,
  }),
}
