-- SPDX-License-Identifier: Apache-2.0
-- require: as Lua's own, but its modules may wait while they are loaded. Who asks for a module that
-- another coroutine is loading waits for it.
local _, ngx, native = ...
local loaded, loaders = package.loaded, package.loaders
local type, error, tostring, pcall, xpcall = type, error, tostring, pcall, xpcall
local open, ENOENT, ENOTDIR = io.open, 2, 20
local running, status, format = coroutine.running, coroutine.status, string.format

local begun = newproxy()  -- In package.loaded until the module is there, or for ever if it failed.
local loading = {}        -- name -> the coroutine that loads it

local function find(name)
  local tried = ""
  for i = 1, #loaders do
    local ok, found = pcall(loaders[i], name)  -- Called by a Lua function it would name this line.
    if not ok then error(found, 0) end
    if type(found) == "function" then return found end
    if type(found) == "string" then tried = tried .. found end
  end
  -- Lua's own search takes a file that may not be read, or for which no descriptor is left, for missing.
  for file in tried:gmatch("no file '([^']*)'") do
    local opened, why, number = open(file)
    if opened then
      opened:close()
    elseif number ~= ENOENT and number ~= ENOTDIR then
      tried = format("\n\tcannot open %s%s", why, tried)
      break
    end
  end
  error(format("module '%s' not found:%s", name, tried), 3)
end

function require(name)
  if type(name) == "number" then name = tostring(name) end
  if type(name) ~= "string" then
    error("bad argument #1 to 'require' (string expected, got " ..
          (name == nil and "no value" or type(name)) .. ")", 2)
  end
  local value = loaded[name]
  while value == begun do
    local loader = loading[name]
    if not loader or loader == running() then
      error(format("loop or previous error loading module '%s'", name), 2)
    end
    local how = status(loader)
    if how ~= "running" and how ~= "normal" then  -- It was killed on the way: nobody loads it now.
      value = nil
      break
    end
    ngx.sleep(0.001)
    value = loaded[name]
  end
  if value then return value end
  local load = find(name)
  loaded[name] = begun
  loading[name] = running()
  local ok, result = xpcall(load, native.remember, name)
  if loading[name] == running() then loading[name] = nil end
  if not ok then error(result, 0) end
  if result ~= nil then
    loaded[name] = result
  elseif loaded[name] == begun then
    loaded[name] = true
  end
  return loaded[name]
end
