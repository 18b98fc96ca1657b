-- A chat room: each WebSocket has an address; what one says is sent to all of them.
local websocket = require "resty.websocket.server"
local room = ngx.shared.room
local chat = {}

local function tell_all(text)
  for _, address in ipairs(room:get_keys(0)) do
    troupe.send(address, "text", text)
  end
end

-- What arrives in the mailbox goes out to the client: the one who writes to the socket.
local function push(socket)
  repeat
    local kind, data = troupe.receive()
  until not socket["send_" .. kind](socket, data)
end

function chat.serve()
  local socket, err = websocket:new { timeout = 30000, max_payload_len = 4096 }
  if not socket then
    ngx.log(ngx.WARN, "no WebSocket: ", err)
    return ngx.exit(400)
  end
  local me, name = troupe.self(), ngx.unescape_uri(ngx.var.arg_name or "somebody")
  ngx.ctx.address, ngx.ctx.name = me, name
  room:set(me, name)
  local pusher = ngx.thread.spawn(push, socket)
  tell_all(name .. " has come in")
  while true do
    local data, kind, failure = socket:recv_frame()
    if kind == "text" then
      tell_all(name .. ": " .. data)
    elseif kind == "ping" then
      troupe.send(me, "pong", data)
    elseif not kind and failure:find("timeout", 1, true) then
      troupe.send(me, "ping", "")
    elseif kind ~= "pong" then
      break  -- "close", or the client has gone
    end
  end
  ngx.thread.kill(pusher)
  return ngx.exit(444)
end

-- Runs however the connection ended.
function chat.leave()
  if not ngx.ctx.address then return end
  room:delete(ngx.ctx.address)
  tell_all(ngx.ctx.name .. " has left")
end

return chat
