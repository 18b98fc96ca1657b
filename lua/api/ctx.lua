-- SPDX-License-Identifier: Apache-2.0
-- ngx.ctx.
local c, _, native, check = ...
local type, error = type, error
local slot_of, take = c.slot, c.take
local tables = native.tables()

local function get()
  local slot = slot_of()
  if slot > 0 then return tables[slot] end
  if slot < 0 then error(check.no_request(), 2) end
  local ctx = {}
  tables[take()] = ctx
  return ctx
end

check.register_getter("ctx", get)

check.register_setter("ctx", function(ctx)
  if type(ctx) ~= "table" then
    error("ctx should be a table while getting a " .. type(ctx), 2)
  end
  local slot = slot_of()
  if slot < 0 then error(check.no_request(), 2) end
  if slot == 0 then slot = take() end
  tables[slot] = ctx
end)
