-- SPDX-License-Identifier: Apache-2.0
-- troupe.cluster: nodes, self, on_change, publish, subscribe, push.
local c, ngx, native, areas = ...
local type, error, pcall, tostring, tonumber = type, error, pcall, tostring, tonumber
local find = string.find
local c_version, wait = c.version, native.wait
local handle
areas.settle(function() handle = native.handle() end)

local cluster = {}
troupe.cluster = cluster

local alone = "no cluster"

local function check(value, want, place, name)
  if type(value) ~= want then
    error("bad argument #" .. place .. " to '" .. name .. "' (" .. want .. " expected, got " ..
          type(value) .. ")", 3)
  end
end

local most_topic_bytes, most_message_bytes = 255, 32 * 1024

local function check_topic(topic, name)
  check(topic, "string", 1, name)
  if topic == "" or #topic > most_topic_bytes or find(topic, "\0", 1, true) then
    error("bad argument #1 to '" .. name .. "' (1 to 255 bytes expected, none of them zero)", 3)
  end
end

function cluster.self()
  if not handle then return nil, alone end
  local name = native.self()
  local all = native.nodes()
  for i = 1, #all do
    if all[i].name == name then return all[i] end
  end
  return { name = name, labels = {}, releases = {} }
end

function cluster.nodes()
  if not handle then return nil, alone end
  return (native.nodes())
end

-- In timers: until the release retires.
local function follow_list(premature, fn, seen)
  while not premature do
    local version = c_version(handle)
    if native.list_version() ~= seen then
      local all
      all, seen = native.nodes()
      local ok, err = pcall(fn, all)
      if not ok then ngx.log(ngx.ERR, "troupe.cluster.on_change: ", tostring(err)) end
    end
    if not wait(version) then return end
  end
end

local function follow_topic(premature, topic, fn, last)
  while not premature do
    local version = c_version(handle)
    local heard, missed
    heard, last, missed = native.messages(last, topic)
    if missed > 0 then
      ngx.log(ngx.WARN, "troupe.cluster.subscribe(\"", topic, "\"): too slow, up to ", missed,
              " messages were missed")
    end
    for i = 1, #heard, 2 do
      local ok, err = pcall(fn, heard[i], heard[i + 1])
      if not ok then
        ngx.log(ngx.ERR, "troupe.cluster.subscribe(\"", topic, "\"): ", tostring(err))
      end
    end
    if not wait(version) then break end
  end
  native.unsubscribe(topic)
end

function cluster.on_change(fn)
  check(fn, "function", 1, "on_change")
  if not handle then return nil, alone end
  return ngx.timer.at(0, follow_list, fn, native.list_version())
end

function cluster.publish(topic, message)
  check_topic(topic, "publish")
  if type(message) == "number" then message = tostring(message) end
  check(message, "string", 2, "publish")
  if not handle then return nil, alone end
  if #message > most_message_bytes then return nil, "message too long" end
  native.publish(topic, message)
  return true
end

function cluster.subscribe(topic, fn)
  check_topic(topic, "subscribe")
  check(fn, "function", 2, "subscribe")
  if not handle then return nil, alone end
  native.subscribe(topic)
  local ok, err = ngx.timer.at(0, follow_topic, topic, fn, native.last_message())
  if not ok then native.unsubscribe(topic) end
  return ok, err
end

function cluster.push(what)
  check(what, "table", 1, "push")
  if type(what.path) ~= "string" then
    error("bad argument #1 to 'push' (a field `path` expected)", 2)
  end
  if not handle then return nil, alone end
  local number = native.push(what.path, what.app or "default", what.message or "", what.to or "",
                             tonumber(what.require) or 100, tonumber(what.canary) or 0,
                             tonumber(what.watch) or 0, what.stop_if or "",
                             tonumber(what.expect) or -1)
  -- It may take the place of the very release that asks, which is then told nothing more: so it looks.
  local outcome = native.outcome(number)
  while not outcome do
    ngx.sleep(0.02)
    outcome = native.outcome(number)
  end
  if outcome.error then return nil, outcome.reason or outcome.error, outcome end
  return outcome
end
