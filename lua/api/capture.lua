-- SPDX-License-Identifier: Apache-2.0
-- ngx.location.capture, capture_multi: options checked and brought into one form.
local _, ngx, native, check = ...
local type, select, error, tostring, pairs, next = type, select, error, tostring, pairs, next
local capture, is_unsafe = native.capture, native.is_unsafe

local get = 2
-- Places in the list that describes a request to native.capture (capture.cpp's `place`).
local args_at, method_at, sees_at, body_at, forward_at, headers_at, vars_at, ctx_at =
  2, 3, 4, 5, 6, 7, 8, 9
-- How much a subrequest sees of the variables, as native.capture wants it.
local own, copied, shared = 0, 1, 2

local function texts(option, name, level)
  local result = {}
  for key, value in pairs(option) do
    if type(key) ~= "string" then
      error('attempt to use a non-string key in the "' .. name .. '" option table', level + 1)
    end
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" then
      error("attempt to use bad variable value type " .. kind, level + 1)
    end
    result[key] = tostring(value)
  end
  return result
end

-- `level` is that of the user's call, for errors; `index` the argument or request that it is about.
local function request(uri, options, index, level)
  if type(uri) == "number" then uri = tostring(uri) end
  if type(uri) ~= "string" then
    error("bad argument #" .. index .. " to 'capture' (string expected, got " .. type(uri) .. ")", level)
  end
  if is_unsafe(uri) then error("unsafe uri in argument #" .. index .. ": " .. uri, level) end
  if not options or next(options) == nil then return { uri, false, get, own } end
  local made = { uri, false, get, own, false, false, false, false, false }

  local args = options.args
  local kind = type(args)
  if kind == "table" then
    made[args_at] = ngx.encode_args(args)
  elseif kind == "string" or kind == "number" then
    made[args_at] = tostring(args)
  elseif args ~= nil then
    error("Bad args option value", level)
  end

  local vars = options.vars
  if type(vars) == "table" then
    made[vars_at] = texts(vars, "vars", level)
  elseif vars ~= nil then
    error("Bad vars option value", level)
  end

  local headers = options.headers
  if type(headers) == "table" then
    made[headers_at] = texts(headers, "headers", level)
  elseif headers ~= nil then
    error("Bad headers option value", level)
  end

  local share, copy = options.share_all_vars, options.copy_all_vars
  if share ~= nil and type(share) ~= "boolean" then error("Bad share_all_vars option value", level) end
  if copy ~= nil and type(copy) ~= "boolean" then error("Bad copy_all_vars option value", level) end
  if share then made[sees_at] = shared elseif copy then made[sees_at] = copied end

  local method = options.method
  if method ~= nil then
    if type(method) ~= "number" then error("Bad http request method", level) end
    made[method_at] = method
  end

  local ctx = options.ctx
  if ctx ~= nil then
    if type(ctx) ~= "table" then
      error("Bad ctx option value type " .. type(ctx) .. ", expected a Lua table", level)
    end
    made[ctx_at] = ctx
  end

  local body = options.body
  if body ~= nil then
    if type(body) ~= "string" and type(body) ~= "number" then error("Bad http request body", level) end
    made[body_at] = tostring(body)
  end
  made[forward_at] = options.always_forward_body and true or false
  return made
end

ngx.location = {}

function ngx.location.capture(...)
  local count = select("#", ...)
  if count ~= 1 and count ~= 2 then error("expecting one or two arguments", 2) end
  local uri, options = ...
  if options ~= nil and type(options) ~= "table" then
    error("bad argument #2 to 'capture' (table expected, got " .. type(options) .. ")", 2)
  end
  check.phase(check.request_phases)
  return capture({ request(uri, options, 1, 3) })
end

function ngx.location.capture_multi(...)
  local count = select("#", ...)
  if count ~= 1 then error("only one argument is expected, but got " .. count, 2) end
  local list = ...
  if type(list) ~= "table" then
    error("bad argument #1 to 'capture_multi' (table expected, got " .. type(list) .. ")", 2)
  end
  local size = #list
  if size == 0 then error("at least one subrequest should be specified", 2) end
  for key in pairs(list) do
    if type(key) ~= "number" or key < 1 or key > size or key % 1 ~= 0 then
      error("only array-like tables are allowed", 2)
    end
  end
  check.phase(check.request_phases)
  local requests = {}
  for i = 1, size do
    local query = list[i]
    if type(query) ~= "table" then
      error("the query argument " .. i .. " is not a table, but a " .. type(query), 2)
    end
    local parts = #query
    if parts ~= 1 and parts ~= 2 then
      error("query argument " .. i .. " expecting one or two arguments", 2)
    end
    if parts == 2 and type(query[2]) ~= "table" then
      error("expecting table as the 2nd argument for subrequest " .. i .. ", but got " ..
            type(query[2]), 2)
    end
    requests[i] = request(query[1], query[2], i, 3)
  end
  return capture(requests)
end
