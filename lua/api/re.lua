-- SPDX-License-Identifier: Apache-2.0
-- ngx.re.match, find, gmatch, sub, gsub, and the module ngx.re (split, opt).
local c, ngx, _, check = ...
local ffi = require "ffi"
local bit = require "bit"
local new_table = require "table.new"
local type, error, tostring, tonumber = type, error, tostring, tonumber
local setmetatable = setmetatable
local sub, byte, format, find = string.sub, string.byte, string.format, string.find
local concat = table.concat
local ffi_string, ffi_gc = ffi.string, ffi.gc
local bor, band = bit.bor, bit.band
local c_exec, c_destroy = c.exec, c.destroy
local unset = ffi.cast("size_t", -1LL)

local no_match = -1
-- Bits as in re.cpp; `o` is for us alone.
local flag_of = { a = 1, d = 2, D = 4, i = 8, j = 16, J = 32, m = 64, s = 128, u = 256,
                  U = 256 + 512, x = 1024, o = 2048 }
local once, dup_names, no_check, dfa = 2048, 4, 512, 2

-- Flags -------------------------------------------------------------------------------------------

local parsed_flags = {}

local function parse_flags(opts)
  local flags = 0
  for i = 1, #opts do
    local one = sub(opts, i, i)
    local value = flag_of[one]
    if not value then
      error(format('unknown flag "%s" (flags "%s")', one, opts), 4)
    end
    flags = bor(flags, value)
  end
  parsed_flags[opts] = flags
  return flags
end

local function flags_of(opts)
  if opts == nil then return 0 end
  if type(opts) ~= "string" then opts = tostring(opts) end
  local flags = parsed_flags[opts]
  if flags then return flags end
  return parse_flags(opts)
end

-- Compiled expressions, kept in two generations: when the young one is full it becomes the old one,
-- whose entries come back when they are used.

local young, old, young_count = {}, {}, 0

local function from_cache(key)
  local regex = young[key]
  if regex then return regex end
  regex = old[key]
  if regex then
    old[key] = nil
    young[key] = regex
    young_count = young_count + 1
  end
  return regex
end

local function to_cache(key, regex)
  local most = c.cache_entries()
  if most <= 0 then return end
  if young_count >= most then
    old, young, young_count = young, {}, 0
  end
  young[key] = regex
  young_count = young_count + 1
end

local failure = ffi.new("troupe_regex_failure")
local function compile(pattern, flags)
  local regex = c.compile(pattern, #pattern, flags, c.match_limit(), failure)
  if regex == nil then
    local message = ffi_string(failure.message)
    local offset = failure.offset
    if offset < #pattern then
      return nil, format('pcre2_compile() failed: %s in "%s" at "%s"', message, pattern,
                         sub(pattern, offset + 1))
    end
    return nil, format('pcre2_compile() failed: %s in "%s"', message, pattern)
  end
  return regex
end

-- The keys of each set of flags are a table of their own, so that no string is made on a hit.
local caches = {}

--
-- An expression without `o` is the caller's: done() frees it at once, which costs less than a
-- finalizer and, unlike that, can be compiled by the JIT.
local function compiled(pattern, flags)
  if band(flags, once) == 0 then return compile(pattern, flags) end
  local cache = caches[flags]
  if not cache then
    cache = {}
    caches[flags] = cache
  end
  local key = cache[pattern]
  if key then
    local regex = from_cache(key)
    if regex then return regex end
  end
  local regex, err = compile(pattern, flags)
  if not regex then return nil, err end
  ffi_gc(regex, c_destroy)
  key = key or { pattern }
  cache[pattern] = key
  to_cache(key, regex)
  return regex
end

local function done(regex, flags)
  if band(flags, once) == 0 then c_destroy(regex) end
end

local function failed(code)
  return "pcre_exec() failed: " .. code
end

local function text_of(value)
  if type(value) == "string" then return value end
  return tostring(value)
end

-- Captures ----------------------------------------------------------------------------------------

local function group(regex, count, subject, number)
  if number >= count then return false end
  local from = regex.offsets[2 * number]
  if from == unset then return false end
  return sub(subject, tonumber(from) + 1, tonumber(regex.offsets[2 * number + 1]))
end

local function collect_names(regex, flags, result)
  local size = regex.name_size
  local dup = band(flags, dup_names) ~= 0
  for i = 0, regex.name_count - 1 do
    local entry = regex.names + i * size
    local number = entry[0] * 256 + entry[1]
    local name = ffi_string(entry + 2)
    local value = result[number]
    if dup then
      if value then
        local list = result[name]
        if list then
          list[#list + 1] = value
        else
          result[name] = { value }
        end
      end
    else
      result[name] = value
    end
  end
end

local function collect(regex, count, subject, flags, result)
  local groups = regex.groups
  result = result or new_table(groups, regex.name_count + 1)
  for i = 0, groups do result[i] = group(regex, count, subject, i) end
  if regex.name_count > 0 and band(flags, dfa) == 0 then collect_names(regex, flags, result) end
  return result
end

local function start_of(ctx)
  local pos = ctx.pos
  if not pos or pos <= 0 then return 0 end
  return pos - 1
end

-- match, find -------------------------------------------------------------------------------------

local function match(subject, pattern, opts, ctx, result)
  subject, pattern = text_of(subject), text_of(pattern)
  local flags = flags_of(opts)
  local regex, err = compiled(pattern, flags)
  if not regex then return nil, err end
  local start = ctx and start_of(ctx) or 0
  local count = c_exec(regex, subject, #subject, start, band(flags, no_check))
  if count > 0 then
    if ctx then ctx.pos = tonumber(regex.offsets[1]) + 1 end
    result = collect(regex, count, subject, flags, result)
    done(regex, flags)
    return result
  end
  done(regex, flags)
  if count == no_match then return nil end
  return nil, failed(count)
end

local function find_in(subject, pattern, opts, ctx, nth)
  subject, pattern = text_of(subject), text_of(pattern)
  local flags = flags_of(opts)
  local regex, err = compiled(pattern, flags)
  if not regex then return nil, nil, err end
  local start = ctx and start_of(ctx) or 0
  local count = c_exec(regex, subject, #subject, start, band(flags, no_check))
  if count > 0 then
    nth = nth or 0
    if nth > regex.groups then
      done(regex, flags)
      return nil, nil, "nth out of bound"
    end
    local offsets = regex.offsets
    if ctx then ctx.pos = tonumber(offsets[1]) + 1 end
    local from, to
    if nth < count and offsets[2 * nth] ~= unset then
      from, to = tonumber(offsets[2 * nth]) + 1, tonumber(offsets[2 * nth + 1])
    end
    done(regex, flags)
    return from, to
  end
  done(regex, flags)
  if count == no_match then return nil, nil end
  return nil, nil, failed(count)
end

-- After an empty match the search goes on one character later.
local function next_position(regex, subject, position)
  position = position + 1
  if regex.utf ~= 0 then
    local size = #subject
    while position < size do
      local code = byte(subject, position + 1)
      if code < 0x80 or code >= 0xC0 then break end
      position = position + 1
    end
  end
  return position
end

-- gmatch ------------------------------------------------------------------------------------------

local iterator = {}
iterator.__call = function(self)
  local regex = self.regex
  if not regex then return nil end
  local subject, position = self.subject, self.position
  if position > #subject then
    self.regex = nil
    return nil
  end
  local count = c_exec(regex, subject, #subject, position, band(self.flags, no_check))
  if count > 0 then
    local from, to = tonumber(regex.offsets[0]), tonumber(regex.offsets[1])
    self.position = to == from and next_position(regex, subject, to) or to
    return collect(regex, count, subject, self.flags)
  end
  self.regex = nil
  if count == no_match then return nil end
  return nil, failed(count)
end

local function gmatch(subject, pattern, opts)
  subject, pattern = text_of(subject), text_of(pattern)
  local flags = flags_of(opts)
  local regex, err = compiled(pattern, flags)
  if not regex then return nil, err end
  if band(flags, once) == 0 then ffi_gc(regex, c_destroy) end  -- It may be left half-way.
  return setmetatable({ regex = regex, subject = subject, flags = flags, position = 0 }, iterator)
end

-- sub, gsub ---------------------------------------------------------------------------------------

local function complain(text)
  c.complain(text, #text)
end

-- A replacement text as a list of strings and numbers of groups; false and a message in the log if
-- it is none.
local function parse_template(template)
  local parts, n = {}, 0
  local literal_start, at, size = 1, 1, #template
  local literal = ""
  while at <= size do
    local dollar = find(template, "$", at, true)
    if not dollar then break end
    literal = literal .. sub(template, literal_start, dollar - 1)
    local following = sub(template, dollar + 1, dollar + 1)
    local number, name, last
    if following == "$" then
      literal = literal .. "$"
      last = dollar + 1
    else
      local braced = following == "{"
      local first = braced and dollar + 2 or dollar + 1
      local _, stop = find(template, "^%d+", first)
      if stop then
        number = tonumber(sub(template, first, stop))
      else
        _, stop = find(template, "^[%w_]+", first)
        if stop then name = sub(template, first, stop) end
      end
      if not stop then
        complain('lua script: invalid capturing variable name found in "' .. template .. '"')
        return false
      end
      if braced then
        if sub(template, stop + 1, stop + 1) ~= "}" then
          complain('the closing bracket in "' .. sub(template, first, stop) ..
                   '" variable is missing')
          return false
        end
        stop = stop + 1
      end
      if name then
        complain('attempt to use named capturing variable "' .. name ..
                 '" (named captures not supported yet)')
        return false
      end
      if literal ~= "" then
        n = n + 1
        parts[n] = literal
        literal = ""
      end
      n = n + 1
      parts[n] = number
      last = stop
    end
    at = last + 1
    literal_start = at
  end
  literal = literal .. sub(template, literal_start)
  if literal ~= "" then
    n = n + 1
    parts[n] = literal
  end
  return parts
end

local templates, template_count = {}, 0

local function template_of(text)
  local parts = templates[text]
  if parts then return parts end
  parts = parse_template(text)
  if parts then
    if template_count >= 1024 then templates, template_count = {}, 0 end
    templates[text] = parts
    template_count = template_count + 1
  end
  return parts
end

local function fill(parts, regex, count, subject, pieces, n)
  for i = 1, #parts do
    local part = parts[i]
    n = n + 1
    if type(part) == "string" then
      pieces[n] = part
    else
      pieces[n] = group(regex, count, subject, part) or ""
    end
  end
  return n
end

local function substitute(subject, pattern, replacement, opts, all)
  subject, pattern = text_of(subject), text_of(pattern)
  local flags = flags_of(opts)
  local regex, err = compiled(pattern, flags)
  if not regex then return nil, nil, err end

  local call, literal, parts
  local kind = type(replacement)
  local owned = band(flags, once) == 0
  if kind == "function" then
    call = replacement
    if owned then ffi_gc(regex, c_destroy) end  -- The callback may raise, or never come back.
    owned = false
  else
    if kind ~= "string" then replacement = tostring(replacement) end
    if find(replacement, "$", 1, true) then
      parts = template_of(replacement)
      if not parts then
        done(regex, flags)
        return nil, nil, "failed to compile the replacement template"
      end
    else
      literal = replacement
    end
  end

  local size = #subject
  local unchecked = band(flags, no_check)
  local pieces, n = nil, 0
  local position, copied, matches = 0, 0, 0
  while true do
    local count = c_exec(regex, subject, size, position, unchecked)
    if count == no_match then break end
    if count <= 0 then
      if owned then c_destroy(regex) end
      return nil, nil, failed(count)
    end
    matches = matches + 1
    local from, to = tonumber(regex.offsets[0]), tonumber(regex.offsets[1])
    if not pieces then pieces = new_table(16, 0) end
    if from > copied then
      n = n + 1
      pieces[n] = sub(subject, copied + 1, from)
    end
    if literal then
      n = n + 1
      pieces[n] = literal
    elseif parts then
      n = fill(parts, regex, count, subject, pieces, n)
    else
      -- The callback may use the same expression, or wait: all that is needed is kept here.
      n = n + 1
      pieces[n] = text_of(call(collect(regex, count, subject, flags)))
    end
    copied = to
    position = to == from and next_position(regex, subject, to) or to
    if not all or position > size then break end
  end
  if owned then c_destroy(regex) end
  if matches == 0 then return subject, 0 end
  if copied < size then
    n = n + 1
    pieces[n] = sub(subject, copied + 1)
  end
  return concat(pieces, "", 1, n), matches
end

ngx.re = {
  match = match,
  find = find_in,
  gmatch = gmatch,
  sub = function(subject, pattern, replacement, opts)
    return substitute(subject, pattern, replacement, opts, false)
  end,
  gsub = function(subject, pattern, replacement, opts)
    return substitute(subject, pattern, replacement, opts, true)
  end,
}

-- The module ngx.re -------------------------------------------------------------------------------

local module = { version = check.resty_core_version, _VERSION = check.resty_core_version }

local function split_chars(subject, start, max, result)
  local size, n = #subject, 0
  local at = start + 1
  while at <= size do
    if max > 0 and n + 1 >= max then
      n = n + 1
      result[n] = sub(subject, at)
      return n
    end
    n = n + 1
    result[n] = sub(subject, at, at)
    at = at + 1
  end
  return n
end

function module.split(subject, pattern, opts, ctx, max, result)
  subject, pattern = text_of(subject), text_of(pattern)
  max = max or 0
  if result then
    if type(result) ~= "table" then error("res is not a table", 2) end
  else
    result = new_table(4, 0)
  end
  local start = 0
  if ctx and type(ctx) == "table" then start = start_of(ctx) end
  local size, n = #subject, 0
  if start >= size and not (start == 0 and size == 0) then
    result[1] = nil
    return result
  end
  if pattern == "" then
    n = split_chars(subject, start, max, result)
    result[n + 1] = nil
    return result
  end
  local flags = flags_of(opts)
  local regex, err = compiled(pattern, flags)
  if not regex then return nil, err end
  local unchecked = band(flags, no_check)
  local position, copied = start, start
  while position <= size do
    if max > 0 and n + 1 >= max then break end
    local count = c_exec(regex, subject, size, position, unchecked)
    if count == no_match then break end
    if count <= 0 then
      done(regex, flags)
      return nil, failed(count)
    end
    local from, to = tonumber(regex.offsets[0]), tonumber(regex.offsets[1])
    if to == from then
      -- An empty separator stands between two characters, never at the ends.
      if from >= size then break end
      if from > copied then
        n = n + 1
        result[n] = sub(subject, copied + 1, from)
        copied = from
      end
      position = next_position(regex, subject, to)
    else
      n = n + 1
      result[n] = sub(subject, copied + 1, from)
      if regex.groups > 0 then
        local first = group(regex, count, subject, 1)
        if first then
          n = n + 1
          result[n] = first
        end
      end
      copied, position = to, to
    end
  end
  done(regex, flags)
  n = n + 1
  result[n] = sub(subject, copied + 1)
  if max <= 0 then
    while n > 0 and result[n] == "" do
      result[n] = nil
      n = n - 1
    end
  end
  result[n + 1] = nil
  return result
end

function module.opt(option, value)
  if option ~= "jit_stack_size" then error("unrecognized option name", 2) end
  if young_count > 0 then
    error("changing jit stack size is not allowed when some regexs have already been compiled and " ..
          "cached", 2)
  end
  c.jit_stack(value)
end

package.preload["ngx.re"] = function() return module end
package.preload["resty.core.regex"] = function()
  return { version = check.resty_core_version, no_jit_in_init = true, set_buf_grow_ratio = function() end }
end
