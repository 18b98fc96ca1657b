-- SPDX-License-Identifier: Apache-2.0
-- The module ngx.process. There is one process; a shard is a worker.
local _, ngx, native, check = ...
local type, get_phase = type, ngx.get_phase
local worker = ngx.worker
local is_single
check.settle(function() is_single = native.is_single() end)

local process = { version = check.resty_core_version }

function process.type()
  if is_single then return "single" end
  return get_phase() == "init" and "master" or "worker"
end

function process.get_master_pid()
  return worker.pid()
end

-- A shard cannot leave alone: the node does, as if it got SIGQUIT.
function process.signal_graceful_exit()
  native.leave()
end

-- Nothing needs more rights than the rest: there is no agent.
function process.enable_privileged_agent(connections)
  if get_phase() ~= "init" then return nil, "API disabled in the current context" end
  if connections ~= nil and (type(connections) ~= "number" or connections < 0) then
    return nil, "bad 'connections' argument: number expected and greater than 0"
  end
  return nil, "there is no privileged agent: all shards have the rights of the process"
end

package.preload["ngx.process"] = function() return process end
