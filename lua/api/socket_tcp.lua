-- SPDX-License-Identifier: Apache-2.0
-- ngx.socket.tcp, stream and connect; ngx.req.socket.
local c, ngx, native, check = ...
local ffi = require "ffi"
local type, select, error, tostring, tonumber = type, select, error, tostring, tonumber
local setmetatable, floor = setmetatable, math.floor
local method_error = check.method_error

-- Kinds of native.receive.
local line, size_of, all, any = 0, 1, 2, 3
local longest_timeout = 2147483647

local tcp = {}
tcp.__index = tcp
-- Of ngx.req.socket(): one reads and nothing else.
local request_methods = {}
request_methods.__index = request_methods

local function check_self(self, name)
  if type(self) ~= "table" then
    error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(self) .. ")", 3)
  end
end

local function count_error(name, wanted, got, but)
  error((name and name .. ": " or "") .. "expecting " .. wanted ..
        " (including the object), but " .. (but or "got") .. " " .. got, 3)
end

-- Connecting --------------------------------------------------------------------------------------

local function check_pool(options, fallback)
  local pool, pool_size, backlog = options.pool, options.pool_size, options.backlog
  if pool ~= nil then
    local kind = type(pool)
    if kind ~= "string" and kind ~= "number" then
      method_error(4, 'bad "pool" option type: ' .. kind, 2)
    end
  end
  if pool_size ~= nil then
    if type(pool_size) ~= "number" then
      method_error(4, 'bad "pool_size" option type: ' .. type(pool_size), 2)
    end
    if pool_size <= 0 then
      method_error(4, 'bad "pool_size" option value: ' .. pool_size, 2)
    end
  end
  if backlog ~= nil then
    if type(backlog) ~= "number" then
      method_error(4, 'bad "backlog" option type: ' .. type(backlog), 2)
    end
    if backlog < 0 then
      method_error(4, 'bad "backlog" option value: ' .. backlog, 2)
    end
  end
  return pool and tostring(pool) or fallback, pool_size, backlog
end

local function connect(self, ...)
  check_self(self, "connect")
  local count = select("#", ...)
  if count < 1 or count > 3 then
    error("ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen " ..
          count + 1, 2)
  end
  local host, port, options = ...
  host = check.method_text(host, 2)
  if host:sub(1, 5) == "unix:" then
    if count >= 2 then
      options = type(port) == "table" and port or options
    end
    port = 0
  else
    if type(port) == "string" then port = tonumber(port) end
    if type(port) ~= "number" then return nil, "missing the port number" end
    if port < 0 or port > 65535 or floor(port) ~= port then
      return nil, "bad port number: " .. port
    end
  end
  local pool = port == 0 and host or host .. ":" .. port
  local pool_size, backlog
  if options ~= nil then
    if type(options) ~= "table" then
      method_error(4, "table expected, got " .. type(options), 1)
    end
    pool, pool_size, backlog = check_pool(options, pool)
  end
  return native.connect(self[1], host, port, pool, pool_size, backlog)
end
tcp.connect = connect

function tcp.bind(self, ...)
  check_self(self, "bind")
  local count = select("#", ...)
  if count < 1 or count > 2 then count_error(nil, "2 or 3 arguments", count + 1) end
  local address, port = ...
  if count == 2 then
    if type(port) ~= "number" then
      return nil, "expecting port to be anumber but got type: " .. type(port)
    end
    if port < 0 or port > 65535 then return nil, "bad port number: " .. port end
  end
  if not native.bind(self[1], check.method_text(address, 2), port or 0) then
    return nil, "bad address"
  end
  return 1
end

local function timeout(value)
  value = tonumber(value) or 0
  if value < 0 or value > longest_timeout then error("bad timeout value", 3) end
  return value
end

local function settimeout(self, ...)
  local count = select("#", ...)
  if count ~= 1 then
    error("ngx.socket settimeout: expecting 2 arguments (including the object) but seen " ..
          count + 1, 2)
  end
  check_self(self, "settimeout")
  local ms = timeout(...)
  native.timeouts(self[1], ms, ms, ms)
end
tcp.settimeout, request_methods.settimeout = settimeout, settimeout

local function settimeouts(self, ...)
  local count = select("#", ...)
  if count ~= 3 then
    error("ngx.socket settimeouts: expecting 4 arguments (including the object) but seen " ..
          count + 1, 2)
  end
  check_self(self, "settimeouts")
  local connecting, sending, reading = ...
  native.timeouts(self[1], timeout(connecting), timeout(sending), timeout(reading))
end
tcp.settimeouts, request_methods.settimeouts = settimeouts, settimeouts

-- Writing -----------------------------------------------------------------------------------------

function tcp.send(self, ...)
  local count = select("#", ...)
  if count ~= 1 then count_error(nil, "2 arguments", count + 1) end
  check_self(self, "send")
  return native.send(self[1], check.socket_data((...), 2))
end

-- Reading -----------------------------------------------------------------------------------------

local function receive(self, ...)
  local count = select("#", ...)
  if count > 1 then count_error(nil, "1 or 2 arguments", count + 1) end
  check_self(self, "receive")
  local pattern = ...
  if pattern == nil then return native.receive(self[1], line, 0) end
  local kind = type(pattern)
  if kind == "string" then
    if pattern == "*l" then return native.receive(self[1], line, 0) end
    if pattern == "*a" then return native.receive(self[1], all, 0) end
    local number = tonumber(pattern)
    if not number then
      method_error(2, pattern:find("^%*.$") and "bad pattern argument" or
                      "bad pattern argument: " .. pattern, 1)
    end
    pattern = number
  elseif kind ~= "number" then
    method_error(2, "bad argument", 1)
  end
  if pattern < 0 then method_error(2, "bad number argument", 1) end
  return native.receive(self[1], size_of, floor(pattern))
end
tcp.receive, request_methods.receive = receive, receive

local function receiveany(self, ...)
  local count = select("#", ...)
  if count ~= 1 then count_error(nil, "2 arguments", count + 1) end
  check_self(self, "receiveany")
  local max = tonumber((...))
  if not max or max <= 0 then method_error(2, "bad max argument", 1) end
  return native.receive(self[1], any, floor(max))
end
tcp.receiveany, request_methods.receiveany = receiveany, receiveany

local function receiveuntil(self, ...)
  local count = select("#", ...)
  if count < 1 or count > 2 then count_error(nil, "2 or 3 arguments", count + 1) end
  check_self(self, "receiveuntil")
  local pattern, options = ...
  pattern = check.method_text(pattern, 2)
  if pattern == "" then return nil, "pattern is empty" end
  local inclusive
  if options ~= nil then
    inclusive = options.inclusive
    if inclusive ~= nil and type(inclusive) ~= "boolean" then
      method_error(3, 'bad "inclusive" option value type: ' .. type(inclusive), 1)
    end
  end
  local edge = native.pattern(pattern, inclusive)
  local socket = self
  return function(...)
    local given = select("#", ...)
    if given > 1 then error("expecting 0 or 1 argument, but seen " .. given, 2) end
    local size = ...
    return native.receive_until(socket[1], edge, size and floor(tonumber(size)) or 0)
  end
end
tcp.receiveuntil, request_methods.receiveuntil = receiveuntil, receiveuntil

-- TLS ---------------------------------------------------------------------------------------------

local session_type = ffi.typeof("troupe_tls_session*")
local void_pointer = ffi.typeof("void*")

local function to_session(pointer) return ffi.gc(ffi.cast(session_type, pointer), c.free_session) end

-- self[2], self[3]: what setclientcert gave.
function tcp.sslhandshake(self, ...)
  local count = select("#", ...)
  if type(self) ~= "table" or count > 4 then
    error("ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen " ..
          (type(self) == "table" and count + 1 or 0), 2)
  end
  local session, name, verify, status = ...
  if name ~= nil then name = check.method_text(name, 3) end
  local made, failure = native.handshake(self[1], ffi.istype(session_type, session) and session or nil,
                                         session ~= false, name, verify, status, self[2], self[3])
  if not made then return nil, failure end
  if made == true then return true end
  return to_session(made)
end

function tcp.setclientcert(self, certificate, key)
  check_self(self, "setclientcert")
  if not certificate and not key then
    self[2], self[3], self.client_identity = nil, nil, nil
    return true
  end
  if not certificate or not key then
    return nil, "client certificate must be supplied with corresponding private key"
  end
  if type(certificate) ~= "cdata" then
    return nil, "bad cert arg: cdata expected, got " .. type(certificate)
  end
  if type(key) ~= "cdata" then return nil, "bad pkey arg: cdata expected, got " .. type(key) end
  self[2], self[3] = ffi.cast(void_pointer, certificate), ffi.cast(void_pointer, key)
  self.client_identity = { certificate, key }  -- Lives as long as the pointers may be used.
  return true
end

function tcp.settrustedstore(self, store)
  check_self(self, "settrustedstore")
  if store ~= nil and type(store) ~= "cdata" then
    return nil, "bad store arg: cdata expected, got " .. type(store)
  end
  return native.trust(self[1], store and ffi.cast(void_pointer, store) or nil)
end

local function check_seen(self)
  if type(self) ~= "table" then
    error("ngx.socket getfd: expecting the cosocket object, but seen none", 3)
  end
end

function tcp.getsslsession(self)
  check_seen(self)
  local made, failure = native.session(self[1])
  if not made then return nil, failure end
  return to_session(made)
end

-- As void pointers, good as long as the connection is.
function tcp.getsslpointer(self)
  check_seen(self)
  local made, failure = native.tls_pointer(self[1], false)
  if not made then return nil, failure end
  return ffi.cast(void_pointer, made)
end

function tcp.getsslctx(self)
  check_seen(self)
  local made, failure = native.tls_pointer(self[1], true)
  if not made then return nil, failure end
  return ffi.cast(void_pointer, made)
end

-- Ends and facts ----------------------------------------------------------------------------------

local function close(self, ...)
  local count = select("#", ...)
  if count ~= 0 then
    error("expecting 1 argument (including the object) but seen " .. count + 1, 2)
  end
  check_self(self, "close")
  return native.close(self[1])
end
tcp.close, request_methods.close = close, close

function tcp.setkeepalive(self, ...)
  local count = select("#", ...)
  if count > 2 then count_error(nil, "1 to 3 arguments", count + 1) end
  check_self(self, "setkeepalive")
  local ms, size = ...
  if ms ~= nil then
    if type(ms) ~= "number" and not tonumber(ms) then
      method_error(2, "number expected, got " .. type(ms), 1)
    end
    ms = tonumber(ms)
    if ms < 0 then method_error(2, "bad timeout value", 1) end
  end
  if size ~= nil then
    if type(size) ~= "number" then method_error(3, "number expected, got " .. type(size), 1) end
    if size <= 0 then method_error(3, 'bad "pool_size" option value: ' .. size, 1) end
  end
  return native.set_keepalive(self[1], ms or -1, size or 0)
end

function tcp.getreusedtimes(self, ...)
  local count = select("#", ...)
  if count ~= 0 then
    error("expecting 1 argument (including the object), but got " .. count + 1, 2)
  end
  check_self(self, "getreusedtimes")
  return native.reused_times(self[1])
end

local function getfd(self)
  if type(self) ~= "table" then
    error("ngx.socket getfd: expecting the cosocket object, but seen none", 2)
  end
  return native.descriptor(self[1])
end
tcp.getfd, request_methods.getfd = getfd, getfd

local function setoption(self, option, value)
  check_self(self, "setoption")
  if option == nil then return nil, 'missing the "option" argument' end
  if value == nil then return nil, 'missing the "value" argument' end
  if type(value) == "boolean" then value = value and 1 or 0 end
  local set, failure = native.option(self[1], option, value)
  if not set then return nil, failure end
  return true
end
tcp.setoption, request_methods.setoption = setoption, setoption

local function getoption(self, option)
  check_self(self, "getoption")
  if option == nil then return nil, 'missing the "option" argument' end
  return native.option(self[1], option, nil)
end
tcp.getoption, request_methods.getoption = getoption, getoption

-- Making ------------------------------------------------------------------------------------------

ngx.socket = ngx.socket or {}

local function new(...)
  local count = select("#", ...)
  if count ~= 0 then error("expecting zero arguments, but got " .. count, 2) end
  return setmetatable({ native.make() }, tcp)
end
ngx.socket.tcp, ngx.socket.stream = new, new

function ngx.socket.connect(...)
  local socket = setmetatable({ native.make() }, tcp)
  local ok, failure = connect(socket, ...)
  if not ok then return nil, failure end
  return socket
end

ngx.req = ngx.req or {}
function ngx.req.socket(...)
  local count = select("#", ...)
  if count > 1 then error("expecting zero arguments, but got " .. count, 2) end
  check.phase(check.output_phases)
  local raw = ...
  local made, failure = native.request(raw and true or false)
  if not made then return nil, failure end
  return setmetatable({ made }, raw and tcp or request_methods)
end
