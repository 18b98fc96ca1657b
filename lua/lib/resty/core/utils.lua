-- SPDX-License-Identifier: Apache-2.0
-- resty.core.utils.
local find, gsub = string.find, string.gsub

local utils = { version = require("resty.core.base").version }

-- `from` and `to` are single characters.
function utils.str_replace_char(text, from, to)
  if not find(text, from, 1, true) then return text end
  return (gsub(text, (gsub(from, "%p", "%%%0")), (gsub(to, "%%", "%%%%"))))
end

return utils
