-- Handlers that are kept in Redis: the hash `handler:PATH` has the fields `version` and `code`. One is
-- fetched and compiled when it is first asked for, and again after `PUBLISH handlers PATH`. While Redis
-- is down, what was compiled goes on.
local redis = require "resty.redis"
local lrucache = require "resty.lrucache"

local host = os.getenv("REDIS_HOST") or "127.0.0.1"
local port = tonumber(os.getenv("REDIS_PORT") or 6379)

local cache = assert(lrucache.new(1000))  -- Of this shard: path -> { version, run, seen }
local sources = ngx.shared.sources        -- Of all shards: path -> "version\ncode", what compiled last
local generation = 0                      -- Grows when news may have been missed.
local handlers = {}

local function fetch(path)
  local store = redis:new()
  store:set_timeout(1000)
  local ok, err = store:connect(host, port)
  if not ok then return nil, err end
  local fields
  fields, err = store:hmget("handler:" .. path, "version", "code")
  if not fields then return nil, err end
  store:set_keepalive(10000, 100)
  return fields
end

-- What another shard of this node has compiled; it serves while Redis is down.
local function from_neighbour(path)
  local version, code = (sources:get(path) or ""):match("^([^\n]*)\n(.*)$")
  if not version then return nil end
  local known = { version = version, run = assert(loadstring(code, "=handler:" .. path)) }
  cache:set(path, known)
  return known
end

-- Brings the cache up to date. Returns what to run, if anything; else whether Redis said so.
local function load(path)
  local known = cache:get(path)
  if known and known.seen == generation then return known end
  local asked = generation
  local fields, err = fetch(path)
  if not fields then
    known = known or from_neighbour(path)
    ngx.log(ngx.ERR, "no handlers from Redis: ", err, known and "; the old one goes on" or "")
    return known, "down"
  end
  local version, code = fields[1], fields[2]
  if code == ngx.null then
    cache:delete(path)
    sources:delete(path)
    return nil, "unknown"
  end
  if known and known.version == version then
    known.seen = asked
    return known
  end
  local run
  run, err = loadstring(code, "=handler:" .. path)
  if not run then
    ngx.log(ngx.ERR, "version ", version, " does not compile: ", err, known and "; the old one goes on" or "")
    return known, "broken"
  end
  local made = { version = version, run = run, seen = asked }
  cache:set(path, made)
  sources:set(path, tostring(version) .. "\n" .. code)
  return made
end

local status = { down = ngx.HTTP_SERVICE_UNAVAILABLE, unknown = ngx.HTTP_NOT_FOUND,
                 broken = ngx.HTTP_INTERNAL_SERVER_ERROR }

function handlers.run(path)
  local handler, why = load(path)
  if not handler then return ngx.exit(status[why]) end
  ngx.header["X-Handler-Version"] = handler.version
  return handler.run()
end

-- Listens for changes, for ever.
local function listen()
  local store = redis:new()
  store:set_timeout(1000)  -- Also how often it looks whether the node stops.
  local ok, err = store:connect(host, port)
  if ok then ok, err = store:subscribe("handlers") end
  if not ok then return err end
  generation = generation + 1
  while not ngx.worker.exiting() do
    local message
    message, err = store:read_reply()
    if message and message[1] == "message" then
      local known = cache:get(message[3])
      if known then known.seen = nil end
    elseif not message and err ~= "timeout" then
      return err
    end
  end
end

local function watch(premature)
  while not premature and not ngx.worker.exiting() do
    local err = listen()
    generation = generation + 1
    if err then
      ngx.log(ngx.WARN, "Redis is away: ", err)
      ngx.sleep(0.2)
    end
  end
end

function handlers.watch()
  assert(ngx.timer.at(0, watch))
end

return handlers
