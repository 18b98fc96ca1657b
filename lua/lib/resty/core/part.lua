-- SPDX-License-Identifier: Apache-2.0
-- resty.core.socket, resty.core.regex …: what they add to ngx_lua is always there.
return { version = require("resty.core.base").version }
