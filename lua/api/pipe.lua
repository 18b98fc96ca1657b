-- SPDX-License-Identifier: Apache-2.0
-- The module ngx.pipe. A method that waits is no tail call: its frame keeps the process from being
-- collected, which would kill the child.
local _, ngx, native, check = ...
local error, ipairs, pairs, tonumber, tostring, type = error, ipairs, pairs, tonumber, tostring, type
local getmetatable = getmetatable
local floor, max = math.floor, math.max
local concat, find = table.concat, string.find

local class = native.class()
local process = {}
class.__index = process

local parts = { stdin = 0, stdout = 1, stderr = 2 }
local all, bytes, line, any = 0, 1, 2, 3  -- pipe_process::goal
local usual_timeout = 10000
local longest_timeout = 0xffffffff
local timeout_options = {
  "write_timeout", "stdout_read_timeout", "stderr_read_timeout", "wait_timeout"
}

local function check_process(self)
  if type(self) ~= "userdata" or getmetatable(self) ~= class then
    error("not a process instance", 3)
  end
end

-- Raises where the function at `level` was called.
local function check_timeout(index, ms, level)
  if ms < 0 or ms > longest_timeout then
    error("bad " .. timeout_options[index] .. " option", level + 1)
  end
  return ms
end

-- Spawning ----------------------------------------------------------------------------------------

local function words_of(args)
  local kind = type(args)
  if kind == "string" then return { "/bin/sh", "-c", args } end
  if kind ~= "table" then error("bad args arg: table expected, got " .. kind, 3) end
  local words = {}
  for i, word in ipairs(args) do words[i] = tostring(word) end
  if #words == 0 then error("bad args arg: non-empty table expected", 3) end
  return words
end

local function environment_of(environ)
  local result = {}
  if not environ then return result end
  if type(environ) ~= "table" then
    error("bad environ option: table expected, got " .. type(environ), 3)
  end
  for i, entry in ipairs(environ) do
    local bad = "bad value at index " .. i .. " of environ option: "
    if type(entry) ~= "string" then error(bad .. "string expected, got " .. type(entry), 3) end
    if not find(entry, "=", 2, true) then
      error(bad .. "'name=[value]' format expected, got '" .. entry .. "'", 3)
    end
    result[i] = entry
  end
  return result
end

local pipe = { version = check.resty_core_version }

function pipe.spawn(args, opts)
  if ngx.get_phase() == "init" then error("API disabled in the current context", 2) end
  local words = words_of(args)
  opts = opts or {}
  local buffer_size = 4096
  if opts.buffer_size then
    buffer_size = tonumber(opts.buffer_size)
    if not buffer_size or buffer_size < 1 then error("bad buffer_size option", 2) end
  end
  local environment = environment_of(opts.environ)
  local ms = {}
  for i, name in ipairs(timeout_options) do
    ms[i] = check_timeout(i, opts[name] or usual_timeout, 2)
  end
  return native.spawn(words, environment, opts.merge_stderr, buffer_size, ms[1], ms[2], ms[3], ms[4])
end

-- Processes ---------------------------------------------------------------------------------------

function process:set_timeouts(write, stdout, stderr, wait)
  check_process(self)
  if write then native.timeout(self, 0, check_timeout(1, write, 2)) end
  if stdout then native.timeout(self, 1, check_timeout(2, stdout, 2)) end
  if stderr then native.timeout(self, 2, check_timeout(3, stderr, 2)) end
  if wait then native.timeout(self, 3, check_timeout(4, wait, 2)) end
end

function process:pid()
  check_process(self)
  return native.pid(self)
end

function process:wait()
  check_process(self)
  local ok, reason, status = native.wait(self)
  if ok == nil then return nil, reason end
  return ok, reason, status
end

function process:kill(signal)
  check_process(self)
  if type(signal) ~= "number" then
    error("bad signal arg: number expected, got " .. tostring(signal), 2)
  end
  return native.kill(self, signal)
end

function process:shutdown(direction)
  check_process(self)
  local part = parts[direction]
  if not part then error("bad shutdown arg: " .. tostring(direction), 2) end
  return native.shutdown(self, part)
end

function process:write(data)
  check_process(self)
  local kind = type(data)
  if kind == "table" then
    data = concat(data)
  elseif kind == "number" then
    data = tostring(data)
  elseif kind ~= "string" then
    error("bad data arg: string, number, or table expected, got " .. kind, 2)
  end
  local written, err = native.write(self, data)
  if not written then return nil, err end
  return written
end

for name, from_stderr in pairs({ stdout = false, stderr = true }) do
  process[name .. "_read_all"] = function(self)
    check_process(self)
    local data, err, partial = native.read(self, from_stderr, all, 0)
    return data, err, partial
  end

  process[name .. "_read_line"] = function(self)
    check_process(self)
    local data, err, partial = native.read(self, from_stderr, line, 0)
    return data, err, partial
  end

  process[name .. "_read_bytes"] = function(self, len)
    check_process(self)
    if len < 0 then error("bad len argument", 2) end
    if len < 1 then return "" end
    local data, err, partial = native.read(self, from_stderr, bytes, floor(len))
    return data, err, partial
  end

  process[name .. "_read_any"] = function(self, most)
    check_process(self)
    most = tonumber(most)
    if not most or most <= 0 then error("bad max argument", 2) end
    local data, err, partial = native.read(self, from_stderr, any, max(1, floor(most)))
    return data, err, partial
  end
end

package.preload["ngx.pipe"] = function() return pipe end
