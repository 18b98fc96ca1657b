-- SPDX-License-Identifier: Apache-2.0
-- The module ngx.semaphore.
local _, _, native, check = ...
local error, tonumber, type, setmetatable = error, tonumber, type, setmetatable

local semaphore = { version = check.resty_core_version }
local class = { __index = semaphore }

local function handle(self)
  if type(self) ~= "table" or type(self.sem) ~= "userdata" then
    error("not a semaphore instance", 3)
  end
  return self.sem
end

function semaphore.new(resources)
  resources = tonumber(resources) or 0
  if resources < 0 then error("no negative number", 2) end
  return setmetatable({ sem = native.create(resources) }, class)
end

function semaphore:wait(seconds)
  local sem = handle(self)
  seconds = tonumber(seconds)
  if not seconds then error("bad argument #1 to 'wait' (number of seconds expected)", 2) end
  if seconds < 0 then error("no negative number", 2) end
  return native.wait(sem, seconds * 1000)
end

function semaphore:post(resources)
  local sem = handle(self)
  resources = resources and tonumber(resources) or 1
  if resources < 1 then error("positive number required", 2) end
  native.post(sem, resources)
  return true
end

function semaphore:count()
  return native.count(handle(self))
end

package.preload["ngx.semaphore"] = function() return semaphore end
