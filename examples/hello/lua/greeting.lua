-- SPDX-License-Identifier: Apache-2.0
--
-- GET /hello?name=NAME greets NAME, or everybody.
local greeting = {}

-- "Hello, Juliet!"; a name that is missing, empty or given without a value is the whole house.
function greeting.to(name)
  if type(name) == "table" then name = name[#name] end
  if type(name) ~= "string" or name == "" then name = "everybody" end
  return "Hello, " .. name .. "!"
end

function greeting.perform()
  ngx.say(greeting.to(ngx.req.get_uri_args().name))
end

return greeting
