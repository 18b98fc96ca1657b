-- SPDX-License-Identifier: Apache-2.0
-- The constants of `ngx`, ngx.config and ngx.worker.
local c, ngx, native, check = ...
local facts = native.facts()

ngx.OK, ngx.ERROR, ngx.AGAIN, ngx.DONE, ngx.DECLINED = 0, -1, -2, -4, -5

-- Methods are bits, so that sets of them are numbers too.
local methods = {
  "GET", "HEAD", "POST", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "OPTIONS", "PROPFIND",
  "PROPPATCH", "LOCK", "UNLOCK", "PATCH", "TRACE",
}
for i, name in ipairs(methods) do ngx["HTTP_" .. name] = 2 ^ i end

local statuses = {
  CONTINUE = 100, SWITCHING_PROTOCOLS = 101,
  OK = 200, CREATED = 201, ACCEPTED = 202, NO_CONTENT = 204, PARTIAL_CONTENT = 206,
  SPECIAL_RESPONSE = 300, MOVED_PERMANENTLY = 301, MOVED_TEMPORARILY = 302, SEE_OTHER = 303,
  NOT_MODIFIED = 304, TEMPORARY_REDIRECT = 307, PERMANENT_REDIRECT = 308,
  BAD_REQUEST = 400, UNAUTHORIZED = 401, PAYMENT_REQUIRED = 402, FORBIDDEN = 403,
  NOT_FOUND = 404, NOT_ALLOWED = 405, NOT_ACCEPTABLE = 406, REQUEST_TIMEOUT = 408,
  CONFLICT = 409, GONE = 410, UPGRADE_REQUIRED = 426, TOO_MANY_REQUESTS = 429, CLOSE = 444,
  ILLEGAL = 451,
  INTERNAL_SERVER_ERROR = 500, NOT_IMPLEMENTED = 501, METHOD_NOT_IMPLEMENTED = 501,
  BAD_GATEWAY = 502, SERVICE_UNAVAILABLE = 503, GATEWAY_TIMEOUT = 504,
  VERSION_NOT_SUPPORTED = 505, INSUFFICIENT_STORAGE = 507,
}
for name, status in pairs(statuses) do ngx["HTTP_" .. name] = status end

ngx.STDERR, ngx.EMERG, ngx.ALERT, ngx.CRIT = 0, 1, 2, 3
ngx.ERR, ngx.WARN, ngx.NOTICE, ngx.INFO, ngx.DEBUG = 4, 5, 6, 7, 8

ngx.config = {
  subsystem = "http",
  debug = false,
  is_console = false,
  nginx_version = facts.nginx_version,
  ngx_lua_version = facts.ngx_lua_version,
  prefix = function() return facts.prefix end,
  nginx_configure = function()
    return "--with-troupe=" .. facts.version .. " --with-pcre-jit --with-http_ssl_module"
  end,
}

check.settle(function()
  facts = native.facts()
  ngx.config.debug = facts.debug  -- As of a build with debugging where the log takes such lines.
end)

local worker = {}
ngx.worker = worker

function worker.pid() return c.pid() end
function worker.id() return facts.shard end
function worker.count() return facts.shards end
function worker.exiting() return c.is_exiting() ~= 0 end

function worker.pids()
  local phase = ngx.get_phase()
  if phase == "init" or phase == "init_worker" then
    return nil, "API disabled in the current context"
  end
  local pids = {}
  for i = 1, facts.shards do pids[i] = c.pid() end
  return pids
end
