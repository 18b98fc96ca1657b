-- SPDX-License-Identifier: Apache-2.0
-- ngx.get_phase, ngx.is_subrequest, ngx.null and the metatable of `ngx`.
local c, ngx, native, check = ...
local ffi_string = require("ffi").string
local phase, phase_name, directive_name = c.phase, c.phase_name, c.directive_name

check.bind_phases(phase, function() return ffi_string(directive_name()) end, c.output_phases)
check.request_phases = c.request_phases
check.install_magic_keys(ngx)

ngx.null = native.null()
check.null = ngx.null

local names = {}
function ngx.get_phase()
  local now = phase()
  local name = names[now]
  if not name then
    name = ffi_string(phase_name())
    names[now] = name
  end
  return name
end

check.register_getter("is_subrequest", function()
  local is = c.is_subrequest()
  if is < 0 then error(check.no_request(), 2) end
  return is == 1
end)
