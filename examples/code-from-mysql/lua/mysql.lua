-- A small client for MariaDB and MySQL, over TCP or a Unix socket: text queries, pooled connections,
-- mysql_native_password. Its functions are a subset of lua-resty-mysql's, with the same arguments and
-- results, so that `require "resty.mysql"` can stand in its place.
--
-- Source   "Client/Server Protocol" in MariaDB's Knowledge Base.
-- Errors   nil and a text; from the server also its code and SQLSTATE. After a failure of the connection
--          it can only be closed.
local bit = require "bit"
local byte, char, sub, find, rep = string.byte, string.char, string.sub, string.find, string.rep
local band, bor, bxor, rshift = bit.band, bit.bor, bit.bxor, bit.rshift
local sha1 = ngx.sha1_bin

-- What we can, in the words of the protocol's capability flags: LONG_PASSWORD, LONG_FLAG, PROTOCOL_41,
-- TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH. Not LOCAL_FILES: no server reads files of ours.
local capabilities = bor(0x1, 0x4, 0x200, 0x2000, 0x8000, 0x80000)
local with_database = 0x8
local charsets = { latin1 = 8, binary = 63, utf8 = 33, utf8mb4 = 45 }
local OK, EOF, ERR, NULL = 0x00, 0xfe, 0xff, 0xfb
-- Types of columns whose values become numbers. BIGINT is none: a Lua number cannot hold all of its.
local numeric = { [0] = true, true, true, true, true, true, [9] = true, [13] = true, [246] = true }

local mysql = {}
local class = { __index = mysql }

-- Numbers, low byte first.
local function put(number, bytes)
  local out = {}
  for i = 1, bytes do
    out[i] = char(band(number, 0xff))
    number = rshift(number, 8)
  end
  return table.concat(out)
end

local function take(data, at, bytes)
  local number = 0
  for i = at + bytes - 1, at, -1 do number = number * 256 + (byte(data, i) or 0) end
  return number, at + bytes
end

local function take_text(data, at)  -- Up to a zero byte.
  local last = find(data, "\0", at, true)
  return sub(data, at, last and last - 1), last and last + 1 or #data + 1
end

-- Numbers of varying length; nil is NULL.
local function take_length(data, at)
  local first = byte(data, at) or NULL
  if first < NULL then return first, at + 1 end
  if first == NULL then return nil, at + 1 end
  return take(data, at + 1, first == 0xfc and 2 or first == 0xfd and 3 or 8)
end

local function take_string(data, at)
  local length
  length, at = take_length(data, at)
  if not length then return nil, at end
  return sub(data, at, at + length - 1), at + length
end

-- Packets: three bytes of length, a number, the data.
local function send(self, data)
  self.number = self.number + 1
  return self.socket:send { put(#data, 3), char(band(self.number, 0xff)), data }
end

local function receive(self)
  local head, err = self.socket:receive(4)
  if not head then return nil, err end
  local length = take(head, 1, 3)
  self.number = byte(head, 4)
  if length == 0 then return nil, "empty packet" end
  if length > self.max_packet_size then return nil, "packet too large: " .. length end
  local data
  data, err = self.socket:receive(length)
  if not data then return nil, err end
  return data, byte(data)
end

local function failure(data)
  local code, at = take(data, 2, 2)
  local state
  if sub(data, at, at) == "#" then state, at = sub(data, at + 1, at + 5), at + 6 end
  return nil, sub(data, at), code, state
end

local function is_end(data, kind) return kind == EOF and #data < 9 end

-- What mysql_native_password answers to the server's challenge.
local function answer(password, challenge)
  if password == "" then return "" end
  local once = sha1(password)
  local mask = sha1(challenge .. sha1(once))
  local out = {}
  for i = 1, #once do out[i] = char(bxor(byte(once, i), byte(mask, i))) end
  return table.concat(out)
end

local function log_in(self, options)
  local data, kind = receive(self)
  if not data then return nil, "failed to receive the handshake: " .. kind end
  if kind == ERR then return failure(data) end
  if kind ~= 10 then return nil, "bad handshake: protocol version " .. kind end
  local at
  self.version, at = take_text(data, 2)
  local challenge = sub(data, at + 4, at + 11) .. sub(data, at + 31, at + 42)
  local database, password = options.database or "", options.password or ""
  local token = answer(password, challenge)
  local charset = charsets[options.charset or "utf8mb4"]
  if not charset then return nil, "charset '" .. options.charset .. "' is not supported" end
  local sent, err = send(self, put(bor(capabilities, database ~= "" and with_database or 0), 4)
      .. put(self.max_packet_size, 4) .. char(charset) .. rep("\0", 23) .. (options.user or "") .. "\0"
      .. char(#token) .. token .. (database ~= "" and database .. "\0" or "") .. "mysql_native_password\0")
  if not sent then return nil, "failed to send the login: " .. err end
  data, kind = receive(self)
  if data and kind == EOF then  -- The server wants another method, or the same with a new challenge.
    local method
    method, at = take_text(data, 2)
    if method ~= "mysql_native_password" then return nil, "authentication '" .. method .. "' is not supported" end
    sent, err = send(self, answer(password, sub(data, at, at + 19)))
    if not sent then return nil, "failed to send the login: " .. err end
    data, kind = receive(self)
  end
  if not data then return nil, "failed to receive the login's result: " .. kind end
  if kind == ERR then return failure(data) end
  if kind ~= OK then return nil, "bad result of the login" end
  return true
end

function mysql.new()
  local socket, err = ngx.socket.tcp()
  if not socket then return nil, err end
  return setmetatable({ socket = socket, max_packet_size = 1024 * 1024 }, class)
end

function mysql:set_timeout(ms) return self.socket:settimeout(ms) end

-- options: host and port, or path; user, password, database, charset, max_packet_size, pool, pool_size,
-- backlog.
function mysql:connect(options)
  self.max_packet_size = options.max_packet_size or self.max_packet_size
  local host, port = options.host or "127.0.0.1", options.port or 3306
  local place = options.path or host .. ":" .. port
  local settings = { pool_size = options.pool_size, backlog = options.backlog,
                     pool = options.pool or table.concat({ options.user or "", options.database or "", place }, ":") }
  local ok, err
  if options.path then
    ok, err = self.socket:connect("unix:" .. options.path, settings)
  else
    ok, err = self.socket:connect(host, port, settings)
  end
  if not ok then return nil, "failed to connect: " .. err end
  if self.socket:getreusedtimes() > 0 then return true end
  return log_in(self, options)
end

local function read_columns(self, count)
  local columns = {}
  for i = 1, count do
    local data, err = receive(self)
    if not data then return nil, err end
    local at, name = 1, nil
    for _ = 1, 4 do name, at = take_string(data, at) end  -- Catalogue, schema, table, original table.
    name, at = take_string(data, at)
    local _
    _, at = take_string(data, at)
    columns[i] = { name = name, number = numeric[byte(data, at + 7)] }
  end
  local data, kind = receive(self)
  if not data then return nil, kind end
  if not is_end(data, kind) then return nil, "bad end of the columns" end
  return columns
end

local function read_rows(self, columns)
  local rows = {}
  while true do
    local data, kind = receive(self)
    if not data then return nil, kind end
    if is_end(data, kind) then return rows end
    if kind == ERR then return failure(data) end
    local row, at, value = {}, 1, nil
    for _, column in ipairs(columns) do
      value, at = take_string(data, at)
      if value and column.number then value = tonumber(value) end
      if value == nil then value = ngx.null end
      row[column.name] = value
    end
    rows[#rows + 1] = row
  end
end

-- Returns rows, each a table by column name, or for what has none affected_rows, insert_id, server_status,
-- warning_count and message.
function mysql:query(statement)
  self.number = -1
  local sent, err = send(self, "\3" .. statement)
  if not sent then return nil, "failed to send the query: " .. err end
  local data, kind = receive(self)
  if not data then return nil, "failed to receive the result: " .. kind end
  if kind == ERR then return failure(data) end
  if kind == OK then
    local result, at = {}, 2
    result.affected_rows, at = take_length(data, at)
    result.insert_id, at = take_length(data, at)
    result.server_status, at = take(data, at, 2)
    result.warning_count, at = take(data, at, 2)
    if at <= #data then result.message = sub(data, at) end
    return result
  end
  local columns
  columns, err = read_columns(self, (take_length(data, 1)))
  if not columns then return nil, "failed to receive the columns: " .. err end
  return read_rows(self, columns)
end

function mysql:set_keepalive(...) return self.socket:setkeepalive(...) end
function mysql:get_reused_times() return self.socket:getreusedtimes() end
function mysql:server_ver() return self.version end

function mysql:close()
  self.number = -1
  send(self, "\1")
  return self.socket:close()
end

return mysql
