-- SPDX-License-Identifier: Apache-2.0
-- ngx.req.* for line, arguments and body; ngx.status.
local c, ngx, native, check = ...
local ffi = require "ffi"
local type, error, tostring, tonumber, select = type, error, tostring, tonumber, select
local ffi_string = ffi.string
local bytes = ffi.new("const char*[1]")
local size = ffi.new("size_t[1]")
local in_file = ffi.new("int[1]")

ngx.req = ngx.req or {}
ngx.resp = ngx.resp or {}
local req = ngx.req

local function no_request() error(check.no_request(), 3) end

local function text(what)
  local code = c.text(what, bytes, size)
  if code == 0 then return ffi_string(bytes[0], size[0]) end
  if code < 0 then error(check.no_request(), 2) end
  return nil
end

-- ngx.status --------------------------------------------------------------------------------------

check.register_getter("status", function()
  local status = c.status()
  if status < 0 then error(check.no_request(), 2) end
  return status
end)

check.register_setter("status", function(value)
  local status = tonumber(value)
  if not status then
    error("bad argument #1 to 'set_resp_status' (number expected, got " .. type(value) .. ")", 2)
  end
  if c.set_status(status) < 0 then error(check.no_request(), 2) end
end)

function ngx.resp.set_status(status, reason)
  reason = reason and tostring(reason) or ""
  if c.set_status_line(status, reason, #reason) < 0 then no_request() end
end

function ngx.resp.bypass_if_checks()
  if c.bypass_checks() < 0 then no_request() end
end

-- The request line --------------------------------------------------------------------------------

function req.get_method()
  return text(0)
end

function req.set_method(method)
  if type(method) ~= "number" then error("bad method number", 2) end
  local code = c.set_method(method)
  if code < 0 then no_request() end
  if code > 0 then error("unsupported HTTP method: " .. method, 2) end
end

local versions = { [9] = 0.9, [1000] = 1.0, [1001] = 1.1, [2000] = 2, [3000] = 3 }
function req.http_version()
  local version = c.version()
  if version < 0 then no_request() end
  return versions[version]
end

function req.raw_header(no_request_line)
  return text(no_request_line and 2 or 1)
end

function req.start_time()
  local time = c.start_time()
  if time < 0 then no_request() end
  return time
end

function req.is_internal()
  local is = c.is_internal()
  if is < 0 then no_request() end
  return is == 1
end

-- Arguments ---------------------------------------------------------------------------------------

local default_max = 100

local function limit(max, name)
  if max == nil then return default_max end
  if type(max) ~= "number" then
    error("bad argument #1 to '" .. name .. "' (number expected, got " .. type(max) .. ")", 3)
  end
  if max < 0 then return default_max end
  return max
end

function req.get_uri_args(max, tab)
  max = limit(max, "get_uri_args")
  local code = c.text(3, bytes, size)
  if code < 0 then no_request() end
  if tab then require("table.clear")(tab) end
  if size[0] == 0 then return tab or {} end
  return check.parse_args(bytes[0], tonumber(size[0]), max, false, tab)
end

function req.set_uri_args(...)
  local count = select("#", ...)
  if count ~= 1 then error("expecting 1 argument but seen " .. count, 2) end
  local args = ...
  local kind = type(args)
  if kind == "table" then
    args = check.encode_args(args)
  elseif kind == "string" or kind == "number" then
    args = tostring(args)
  else
    check.argument_error(1, "string, number, or table expected, but got " .. kind, 1)
  end
  if c.set_args(args, #args) < 0 then no_request() end
end

function req.get_post_args(...)
  local count = select("#", ...)
  if count > 1 then error("expecting 0 or 1 arguments but seen " .. count, 2) end
  local max = default_max
  if count == 1 then
    max = tonumber((...))
    if not max then check.argument_error(1, "number expected, got " .. type((...)), 1) end
  end
  local state = c.body_state(in_file)
  if state < 0 then no_request() end
  if state == 3 then return {} end
  if state ~= 2 then
    error("no request body found; maybe you should turn on lua_need_request_body?", 2)
  end
  if in_file[0] == 1 then return nil, "request body in temp file not supported" end
  if c.body(bytes, size) ~= 0 then return {} end
  return check.parse_args(bytes[0], tonumber(size[0]), max, true)
end

-- The body ----------------------------------------------------------------------------------------

local read_body = native.read_body
function req.read_body(...)
  local count = select("#", ...)
  if count > 0 then error("expecting 0 arguments but seen " .. count, 2) end
  check.phase(check.output_phases)
  return read_body()
end

function req.discard_body()
  if c.body_state(in_file) < 0 then no_request() end
  return native.discard_body()
end

function req.get_body_data(...)
  local count = select("#", ...)
  if count > 1 then error("expecting 0 or 1 arguments but seen " .. count, 2) end
  local code = c.body(bytes, size)
  if code < 0 then no_request() end
  if code > 0 then return nil end
  local max = ...
  if max and max < size[0] then return ffi_string(bytes[0], max) end
  return ffi_string(bytes[0], size[0])
end

function req.get_body_file()
  return text(4)
end

local function need_read()
  local state = c.body_state(in_file)
  if state < 0 then error(check.no_request(), 3) end
  if state == 3 then error("request body already discarded asynchronously", 3) end
  if state ~= 2 then error("request body not read yet", 3) end
end

function req.set_body_data(...)
  local count = select("#", ...)
  if count ~= 1 then error("expecting 1 arguments but seen " .. count, 2) end
  need_read()
  return native.set_body_data((...))
end

function req.set_body_file(...)
  local count = select("#", ...)
  if count ~= 1 and count ~= 2 then
    error("expecting 1 or 2 arguments but seen " .. count, 2)
  end
  need_read()
  return native.set_body_file(...)
end

function req.init_body(...)
  local count = select("#", ...)
  if count > 1 then error("expecting 0 or 1 argument but seen " .. count, 2) end
  if not native.reads_by_socket() then need_read() end
  local buffer_size
  if count == 1 then
    buffer_size = tonumber((...))
    if not buffer_size then
      check.argument_error(1, "number expected, got " .. type((...)), 1)
    elseif buffer_size < 0 then
      error("bad size argument: " .. buffer_size, 2)
    end
  end
  return native.init_body(buffer_size)
end

function req.append_body(...)
  local count = select("#", ...)
  if count ~= 1 then error("expecting 1 arguments but seen " .. count, 2) end
  return native.append_body((...))
end

function req.finish_body(...)
  local count = select("#", ...)
  if count > 0 then error("expecting 0 argument but seen " .. count, 2) end
  return native.finish_body()
end
