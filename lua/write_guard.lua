-- SPDX-License-Identifier: Apache-2.0
-- Warns, once for each name, about a global that appears while requests are served: one table
-- of globals is shared by all exchanges of a VM. The line numbers in this file are part of the
-- warning that tools know ("_G write guard:12: __newindex(): …"): keep the call there.
local rawset, tostring, traceback = rawset, tostring, debug.traceback
local log, WARN = ngx.log, ngx.WARN
local mt = getmetatable(_G) or {}
if mt.__newindex then return end  -- A library that guards by itself wins.


function mt.__newindex(table, name, value)
  log(WARN, "writing a global Lua variable ('", tostring(name), "') which may lead to " ..
      "race conditions between concurrent requests, so prefer the use of 'local' " ..
      "variables\n", traceback("", 2):sub(2))
  rawset(table, name, value)
end

setmetatable(_G, mt)
