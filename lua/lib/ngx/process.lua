-- SPDX-License-Identifier: Apache-2.0
-- ngx.process: there is one process; a shard is a worker.
local base = require "resty.core.base"
local worker, get_phase = ngx.worker, ngx.get_phase

local process = { version = base.version }

function process.type()
  return get_phase() == "init" and "master" or "worker"
end

function process.get_master_pid()
  return worker.pid()
end

-- Nothing needs more rights than the rest: there is no agent.
function process.enable_privileged_agent(connections)
  if get_phase() ~= "init" then error("API disabled in the current context", 2) end
  if connections ~= nil and (type(connections) ~= "number" or connections < 0) then
    return nil, "bad 'connections' argument: number expected and greater than 0"
  end
  return nil, "there is no privileged agent: all shards have the rights of the process"
end

return process
