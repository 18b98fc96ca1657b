-- SPDX-License-Identifier: Apache-2.0
-- ngx.print, say, flush, eof, send_headers, headers_sent.
local c, ngx, native, check = ...
local type, select, error, rawget = type, select, error, rawget
local begin, append, append_number, commit = c.begin, c.append, c.append_number, c.commit
local write, line = c.write, c.line
local filter = native.filter

local texts = { [2] = "header only", [3] = "seen eof", [4] = "nginx output filter error",
                [5] = "raw request socket acquired" }

local function failed(code)
  if code > 1 then return nil, texts[code] end
  if code == 1 then return filter() end
  error(check.disabled(), 2)
end

local text_of, array_size, printable = check.text_of, check.array_size, check.printable

local function append_table(t)
  for i = 1, array_size(t) do
    local v = rawget(t, i)
    local kind = type(v)
    if kind == "number" then
      append_number(v)
    elseif kind == "table" then
      append_table(v)
    else
      local text = text_of(v)
      append(text, #text)
    end
  end
end

local function append_all(...)
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    local kind = type(v)
    if kind == "string" then
      append(v, #v)
    elseif kind == "number" then
      append_number(v)
    elseif kind == "table" then
      append_table(v)
    else
      local text = text_of(v)
      append(text, #text)
    end
  end
end

-- Raises before anything is said if one value has no text.
local function check_all(...)
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    local kind = type(v)
    if kind ~= "string" and kind ~= "number" then printable(v, i, 2) end
  end
end

function ngx.print(...)
  local code
  if select("#", ...) == 1 and type((...)) == "string" then
    local text = ...
    code = write(text, #text)
  else
    code = begin()
    if code == 0 then
      check_all(...)
      append_all(...)
      code = commit()
    end
  end
  if code == 0 then return 1 end
  return failed(code)
end

function ngx.say(...)
  local code
  if select("#", ...) == 1 and type((...)) == "string" then
    local text = ...
    code = line(text, #text)
  else
    code = begin()
    if code == 0 then
      check_all(...)
      append_all(...)
      append("\n", 1)
      code = commit()
    end
  end
  if code == 0 then return 1 end
  return failed(code)
end

function ngx.send_headers()
  local code = c.send_headers()
  if code == 0 then return 1 end
  return failed(code)
end

function ngx.flush(...)
  local count = select("#", ...)
  if count > 1 then
    error("attempt to pass " .. count .. " arguments, but accepted 0 or 1", 2)
  end
  local wait = ...
  if count == 1 and type(wait) ~= "boolean" then
    error("bad argument #1 to 'flush' (boolean expected, got " .. type(wait) .. ")", 2)
  end
  check.phase(check.output_phases)
  local sent, gathering, eof, has_output, raw, filtering = native.state()
  if sent == nil then error("no request found", 2) end
  while filtering do
    native.settle()
    sent, gathering, eof, has_output, raw, filtering = native.state()
  end
  if raw then return nil, "raw request socket acquired" end
  if eof then return nil, "seen eof" end
  if gathering then return native.flush(wait) end
  if not sent or (not has_output and not wait) then return nil, "nothing to flush" end
  return native.flush(wait)
end

function ngx.eof(...)
  if select("#", ...) > 0 then error("no argument is expected", 2) end
  check.phase(check.output_phases)
  local sent, _, _, _, raw = native.state()
  if sent == nil then error("no request found", 2) end
  if raw then return nil, "raw request socket acquired" end
  return native.eof()
end

check.register_getter("headers_sent", function()
  local sent = c.headers_sent()
  if sent < 0 then error(check.no_request(), 2) end
  return sent == 1
end)
