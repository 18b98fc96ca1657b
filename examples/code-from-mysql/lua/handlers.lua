-- Handlers that are kept in MariaDB, in the table `handlers` of schema.sql. One is fetched and compiled when
-- it is first asked for, and looked at again when the number of changes is another. While the store is
-- down, what was compiled goes on.
local mysql = require "mysql"  -- Or "resty.mysql".
local lrucache = require "resty.lrucache"

local store = {
  path = os.getenv("MYSQL_SOCKET"),
  host = os.getenv("MYSQL_HOST") or "127.0.0.1",
  port = tonumber(os.getenv("MYSQL_PORT") or 3306),
  user = os.getenv("MYSQL_USER") or "handlers",
  password = os.getenv("MYSQL_PASSWORD") or "",
  database = os.getenv("MYSQL_DATABASE") or "handlers",
  max_packet_size = 16 * 1024 * 1024 - 1,  -- As much as a MEDIUMTEXT holds.
}

local cache = assert(lrucache.new(1000))  -- Of this shard: path -> { version, run, seen }
local sources = ngx.shared.sources        -- Of all shards: path -> "seen version\ncode", what compiled last
local news = ngx.shared.news              -- changes: the number of them, as far as this node knows
local handlers = {}

local function connect(timeout_ms)
  local db, err = mysql:new()
  if not db then return nil, err end
  db:set_timeout(timeout_ms)
  local ok
  ok, err = db:connect(store)
  if ok then return db end
  db:close()
  return nil, err
end

-- Returns the row, or false; the code is null when `known` is its version.
local function fetch(path, known)
  local db, err = connect(1000)
  if not db then return nil, err end
  local rows
  rows, err = db:query("SELECT version, IF(version = " .. known .. ", NULL, code) AS code FROM handlers "
                       .. "WHERE path = " .. ngx.quote_sql_str(path))
  if not rows then
    db:close()
    return nil, err
  end
  db:set_keepalive(10000, 100)
  return rows[1] or false
end

-- The newest code of this path that compiles, as far as this node can know; else why there is none.
local function newest(path, changes)
  local source
  local seen, version, code = (sources:get(path) or ""):match("^(%d*) (%d+)\n(.*)$")
  if version then source = { seen = seen, version = version, code = code } end
  if source and source.seen == changes then return source end
  local row, err = fetch(path, version or 0)
  if row == nil then
    ngx.log(ngx.ERR, "no handlers from the store: ", err, source and "; the old one goes on" or "")
    return source, "down"
  end
  if not row then
    sources:delete(path)
    return nil, "unknown"
  end
  if row.code ~= ngx.null then
    local run
    run, err = loadstring(row.code, "=handler:" .. path)
    if run then
      source = { version = row.version, code = row.code }
    else
      ngx.log(ngx.ERR, "version ", row.version, " does not compile: ", err, source and "; the old one goes on" or "")
      if not source then return nil, "broken" end
    end
  end
  source.seen = changes
  sources:set(path, changes .. " " .. source.version .. "\n" .. source.code)
  return source
end

-- Brings this shard's cache up to date. Returns what to run, if anything, and why there is nothing.
local function load(path)
  local known = cache:get(path)
  local changes = news:get("changes") or ""
  if known and known.seen == changes then return known end
  local source, why = newest(path, changes)
  if source then
    if not known or known.version ~= source.version then
      known = { version = source.version, run = assert(loadstring(source.code, "=handler:" .. path)) }
      cache:set(path, known)
    end
    known.seen = source.seen
  elseif why == "unknown" then
    cache:delete(path)
    return nil, why
  end
  return known, why
end

local answers = {
  down = { ngx.HTTP_SERVICE_UNAVAILABLE, "The store of the handlers cannot be reached, and this one was not loaded before." },
  unknown = { ngx.HTTP_NOT_FOUND, "There is no such handler." },
  broken = { ngx.HTTP_INTERNAL_SERVER_ERROR, "This handler does not compile." },
}

function handlers.run(path)
  local handler, why = load(path)
  if handler then
    ngx.header["X-Handler-Version"] = handler.version
    return handler.run()
  end
  ngx.status = answers[why][1]
  ngx.header.content_type = "text/plain"
  ngx.say(answers[why][2])
end

-- Waits for changes, for ever.
local function listen(when_connected)
  local db, err = connect(5000)
  if not db then return err end
  when_connected()
  local known = 0  -- Not what was seen before: the store may be another now.
  while not ngx.worker.exiting() do
    -- A second each, so that a node that stops need not wait longer.
    local ok, rows
    ok, err = db:query("CALL wait_for_change(" .. known .. ", 1, @changes)")
    if ok then rows, err = db:query("SELECT @changes AS changes") end
    if not rows then break end
    known = tostring(rows[1].changes)
    news:set("changes", known)
  end
  db:close()
  return err
end

local function watch(premature)
  local away = false  -- Told once.
  local function back()
    if away then ngx.log(ngx.NOTICE, "the store is back") end
    away = false
  end
  while not premature and not ngx.worker.exiting() do
    local err = listen(back)
    if err then
      if not away then ngx.log(ngx.WARN, "the store is away: ", err) end
      away = true
      ngx.sleep(0.2)
    end
  end
end

-- One shard of a node waits for all.
function handlers.watch()
  if ngx.worker.id() == 0 then assert(ngx.timer.at(0, watch)) end
end

return handlers
