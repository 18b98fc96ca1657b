-- SPDX-License-Identifier: Apache-2.0
-- ngx.exit, exec, redirect, sleep; ngx.req.set_uri.
local _, ngx, native, check = ...
local type, select, error, format = type, select, error, string.format
local find, byte, gsub = string.find, string.byte, string.gsub

ngx.exit = native.exit
ngx.on_abort = native.on_abort
ngx.redirect = native.redirect
ngx.sleep = native.sleep

local exec = native.exec
function ngx.exec(...)
  local count = select("#", ...)
  if count ~= 1 and count ~= 2 then
    error("expecting one or two arguments, but got " .. count, 2)
  end
  local uri, args = ...
  local kind = type(args)
  if kind == "table" then
    args = ngx.encode_args(args)
  elseif args ~= nil and kind ~= "string" and kind ~= "number" then
    check.argument_error(2, "string, number, or table expected, but got " .. kind, 1)
  end
  return exec(uri, args)
end

ngx.req = ngx.req or {}
local set_uri = native.set_uri

-- Bytes that would break a request line, as the log shows them.
local function shown(text)
  return (gsub(text, '[%z\1-\31\127-\255\\"]', function(c)
    return format("\\x%02X", byte(c))
  end))
end

function ngx.req.set_uri(...)
  local count = select("#", ...)
  if count < 1 or count > 3 then
    error("expecting 1, 2 or 3 arguments but seen " .. count, 2)
  end
  local uri, jump, binary = ...
  uri = check.text_argument(uri, 1)
  if uri == "" then error("attempt to use zero-length uri", 2) end
  for i = 2, count do
    local flag = select(i, ...)
    if type(flag) ~= "boolean" then
      check.argument_error(i, "boolean expected, got " .. type(flag), 1)
    end
  end
  if not binary then
    local at = find(uri, "[%z\1-\8\10-\31\127]")
    if at then
      error(format('unsafe byte "0x%02x" in uri "%s" (maybe you want to set the \'binary\' argument?)',
                   byte(uri, at), shown(uri)), 2)
    end
  end
  return set_uri(uri, jump)
end
