-- SPDX-License-Identifier: Apache-2.0
-- troupe.config: get, list, watch.
local c, ngx, native, check = ...
local type, error, pairs, pcall, tostring = type, error, pairs, pcall, tostring
local c_version, fetch, versions, wait = c.version, native.fetch, native.versions, native.wait
local values
check.settle(function() values = native.values() end)

local config = {}
troupe.config = config

local function check_string(value, name)
  if type(value) ~= "string" then
    error("bad argument #1 to '" .. name .. "' (string expected, got " .. type(value) .. ")", 3)
  end
end

-- What was asked for since the last change; `none` stands for nil.
local none = {}
local seen, cache = -1, {}

function config.get(key)
  check_string(key, "get")
  if not values then return nil end
  local version = c_version(values)
  if version ~= seen then seen, cache = version, {} end
  local value = cache[key]
  if value == nil then
    value = fetch(key)
    if value == nil then value = none end
    cache[key] = value
  end
  if value == none then return nil end
  return value
end

function config.list(prefix)
  if prefix == nil then prefix = "" end
  check_string(prefix, "list")
  local found = {}
  if not values then return found end
  for key in pairs((versions(prefix))) do found[key] = config.get(key) end
  return found
end

local function tell(prefix, fn, key)
  local ok, err = pcall(fn, key, config.get(key))
  if not ok then
    ngx.log(ngx.ERR, "troupe.config.watch(\"", prefix, "\"): ", tostring(err))
  end
end

-- In a timer: until the release retires.
local function follow(premature, prefix, fn, before, version)
  while not premature and wait(version) do
    local now
    now, version = versions(prefix)
    for key, changed in pairs(now) do
      if before[key] ~= changed then tell(prefix, fn, key) end
    end
    for key in pairs(before) do
      if now[key] == nil then tell(prefix, fn, key) end
    end
    before = now
  end
end

function config.watch(prefix, fn)
  check_string(prefix, "watch")
  if type(fn) ~= "function" then
    error("bad argument #2 to 'watch' (function expected, got " .. type(fn) .. ")", 2)
  end
  if not values then return nil, "no config values here" end
  local before, version = versions(prefix)
  return ngx.timer.at(0, follow, prefix, fn, before, version)
end
