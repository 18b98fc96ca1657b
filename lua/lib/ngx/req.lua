-- SPDX-License-Identifier: Apache-2.0
-- ngx.req: what is no part of the global table.
return { version = "0.1.33", add_header = ngx.req.add_header }
