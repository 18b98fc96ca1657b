-- SPDX-License-Identifier: Apache-2.0
-- ngx.md5, ngx.md5_bin, ngx.sha1_bin, ngx.hmac_sha1, ngx.crc32_short, ngx.crc32_long.
local c, ngx, _, check = ...
local ffi = require "ffi"
local error, select = error, select
local ffi_string = ffi.string
local text_of, text_argument = check.text, check.text_argument
local digest = ffi.new("unsigned char[20]")
local hex = ffi.new("char[32]")

function ngx.md5(value)
  local text = text_of(value)
  c.md5_hex(text, #text, hex)
  return ffi_string(hex, 32)
end

function ngx.md5_bin(value)
  local text = text_of(value)
  c.md5(text, #text, digest)
  return ffi_string(digest, 16)
end

function ngx.sha1_bin(value)
  local text = text_of(value)
  c.sha1(text, #text, digest)
  return ffi_string(digest, 20)
end

function ngx.hmac_sha1(...)
  local count = select("#", ...)
  if count ~= 2 then error("expecting 2 arguments, but got " .. count, 2) end
  local key, value = ...
  local secret, text = text_argument(key, 1), text_argument(value, 2)
  c.hmac_sha1(secret, #secret, text, #text, digest)
  return ffi_string(digest, 20)
end

-- One algorithm: the two differ in nginx only in which size of text they are quick with.
local function crc32(value)
  local text = text_of(value)
  return c.crc32(text, #text)
end
ngx.crc32_short, ngx.crc32_long = crc32, crc32
