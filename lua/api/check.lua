-- SPDX-License-Identifier: Apache-2.0
-- Argument checks that areas of the API share, with the texts of ngx_lua.
local error, type, tostring = error, type, tostring

local check = {}

-- nil and false count as "", other values become strings (ngx.escape_uri, ngx.md5 …).
function check.text(value)
  if type(value) == "string" then return value end
  if not value then return "" end
  return tostring(value)
end

-- A string and nothing else, or: string argument only
function check.string_only(value)
  if type(value) ~= "string" then error("string argument only", 3) end
  return value
end

-- A number and nothing else, or: number argument only
function check.number_only(value)
  if type(value) ~= "number" then error("number argument only", 3) end
  return value
end

return check
