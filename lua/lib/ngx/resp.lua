-- SPDX-License-Identifier: Apache-2.0
-- ngx.resp as a module.
return {
  version = "0.1.33",
  add_header = ngx.resp.add_header,
  set_status = ngx.resp.set_status,
  bypass_if_checks = ngx.resp.bypass_if_checks,
}
