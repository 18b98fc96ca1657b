-- SPDX-License-Identifier: Apache-2.0
-- resty.core: what it adds to ngx_lua is always there.
return { version = require("resty.core.base").version }
