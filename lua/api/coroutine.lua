-- SPDX-License-Identifier: Apache-2.0
-- coroutine.* and ngx.thread.*.
local _, ngx, native = ...
local error, select = error, select

local plain = {}
for name, fn in pairs(coroutine) do plain[name] = fn end
native.keep(plain)

local create, resume = native.create, native.resume

local function unwrap(ok, ...)
  if ok then return ... end
  error((...), 0)
end

function coroutine.create(fn) return create(fn) end
coroutine.resume = resume
coroutine.yield = native.yield
coroutine.status = native.status
coroutine.running = native.running

function coroutine.wrap(fn)
  local co = create(fn, true)
  return function(...) return unwrap(resume(co, ...)) end
end

ngx.thread = { spawn = native.spawn, wait = native.wait, kill = native.kill }
