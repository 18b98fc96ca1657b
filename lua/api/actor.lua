-- SPDX-License-Identifier: Apache-2.0
-- troupe: self, send, receive, spawn, monitor; and the loop of an actor that troupe.spawn made.
local _, _, native = ...
local type, error, require = type, error, require
local next_message = native.next

troupe = {
  self = native.self,
  send = native.send,
  receive = native.receive,
  spawn = native.spawn,
  monitor = native.monitor,
}
package.loaded.troupe = troupe

local function terminate(behaviour, state, reason)
  if behaviour.terminate then behaviour.terminate(state, reason) end
  return "stop", reason
end

-- What comes back goes to actors/lua_actor: "stop" and a reason, or "move" and the state.
native.set_loop(function(module, how, ...)
  local behaviour = require(module)
  if type(behaviour) ~= "table" or type(behaviour.handle) ~= "function" then
    error("the module " .. module .. " has no function `handle`", 0)
  end
  local state
  if how == "init" then
    if behaviour.init then state = behaviour.init(...) end
  elseif behaviour.code_change then
    state = behaviour.code_change(...)
  else
    return "stop", "released"
  end

  local function turn(has_message, ...)
    if not has_message then
      local why = ...
      if why == "move" then return why, state end
      return terminate(behaviour, state, why)
    end
    local new_state, stop, reason = behaviour.handle(state, ...)
    if new_state ~= nil then state = new_state end
    if stop then return terminate(behaviour, state, reason or "normal") end
  end

  while true do
    local done, result = turn(next_message())
    if done then return done, result end
  end
end)
