-- SPDX-License-Identifier: Apache-2.0
-- ngx.today, ngx.time, ngx.now, ngx.update_time, ngx.localtime, ngx.utctime and HTTP's dates.
local c, ngx, _, check = ...
local ffi = require "ffi"
local type, error = type, error
local floor = math.floor
local ffi_string = ffi.string
local wall_ms = c.wall_ms
local text = ffi.new("char[64]")
local seconds = ffi.new("double[1]")

function ngx.now() return wall_ms() / 1000 end
function ngx.time() return floor(wall_ms() / 1000) end
function ngx.update_time() c.update() end

-- Texts of the present second, made when they are asked for.
local local_second, local_text, today_text
local function to_now()
  local now = floor(wall_ms() / 1000)
  if now == local_second then return end
  c.local_time(text)
  local_second, local_text, today_text = now, ffi_string(text, 19), ffi_string(text, 10)
end

function ngx.today()
  to_now()
  return today_text
end

function ngx.localtime()
  to_now()
  return local_text
end

local utc_second, utc_text
function ngx.utctime()
  local now = floor(wall_ms() / 1000)
  if now ~= utc_second then
    c.utc_time(text)
    utc_second, utc_text = now, ffi_string(text, 19)
  end
  return utc_text
end

function ngx.cookie_time(time)
  if type(time) ~= "number" then error("number argument only", 2) end
  return ffi_string(text, c.cookie_time(time, text))
end

function ngx.http_time(time)
  if type(time) ~= "number" then error("number argument only", 2) end
  return ffi_string(text, c.http_time(time, text))
end

function ngx.parse_http_time(date)
  if type(date) ~= "string" then error("string argument only", 2) end
  if c.parse(date, #date, seconds) ~= 0 then return nil end
  return seconds[0]
end

package.preload["resty.core.time"] = function()
  return {
    version = check.resty_core_version,
    monotonic_msec = function() return c.monotonic_ms() end,
    monotonic_time = function() return c.monotonic_ms() / 1000 end,
  }
end
