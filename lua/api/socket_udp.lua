-- SPDX-License-Identifier: Apache-2.0
-- ngx.socket.udp.
local _, ngx, native, check = ...
local type, select, error, tonumber, setmetatable = type, select, error, tonumber, setmetatable
local floor, min = math.floor, math.min
local method_error = check.method_error

local largest_datagram = 65536

local udp = {}
udp.__index = udp

local function check_self(self, name)
  if type(self) ~= "table" then
    error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(self) .. ")", 3)
  end
end

function udp.setpeername(self, ...)
  local count = select("#", ...)
  if count < 1 or count > 2 then
    error("ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen " ..
          count + 1, 2)
  end
  check_self(self, "setpeername")
  local host, port = ...
  host = check.method_text(host, 2)
  if host:sub(1, 5) == "unix:" then
    port = 0
  else
    port = tonumber(port)
    if not port then method_error(3, "number expected, got " .. type((select(2, ...))), 1) end
    if port < 0 or port > 65535 or floor(port) ~= port then
      return nil, "bad port number: " .. port
    end
  end
  return native.set_peer(self[1], host, port)
end

function udp.bind(self, ...)
  local count = select("#", ...)
  if count ~= 1 then error("expecting 2 arguments, but got " .. count + 1, 2) end
  check_self(self, "bind")
  if not native.bind(self[1], check.method_text((...), 2)) then return nil, "bad address" end
  return 1
end

function udp.send(self, ...)
  local count = select("#", ...)
  if count ~= 1 then
    error("expecting 2 arguments (including the object), but got " .. count + 1, 2)
  end
  check_self(self, "send")
  return native.send(self[1], check.socket_data((...), 2))
end

function udp.receive(self, ...)
  local count = select("#", ...)
  if count > 1 then
    error("expecting 1 or 2 arguments (including the object), but got " .. count + 1, 2)
  end
  check_self(self, "receive")
  local most = ...
  if most == nil then
    most = largest_datagram
  else
    most = tonumber(most)
    if not most or most < 1 then method_error(2, "positive number expected", 1) end
  end
  return native.receive(self[1], min(floor(most), largest_datagram))
end

function udp.settimeout(self, ...)
  local count = select("#", ...)
  if count ~= 1 then
    error("ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen " ..
          count + 1, 2)
  end
  check_self(self, "settimeout")
  local ms = tonumber((...)) or 0
  native.timeout(self[1], ms > 0 and ms or 0)
end

function udp.close(self, ...)
  local count = select("#", ...)
  if count ~= 0 then
    error("expecting 1 argument (including the object) but seen " .. count + 1, 2)
  end
  check_self(self, "close")
  return native.close(self[1])
end

function ngx.socket.udp(...)
  local count = select("#", ...)
  if count ~= 0 then error("expecting zero arguments, but got " .. count, 2) end
  return setmetatable({ native.make() }, udp)
end
