// SPDX-License-Identifier: Apache-2.0
#include "lua/vm.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "lua/api_registry.hpp"
#include "lua/coroutine.hpp"
#include "lua/lib_registry.hpp"
#include "lua/shared_dict.hpp"
#include "lua/timer_set.hpp"
#include "net/log.hpp"

namespace troupe::lua {
namespace {

constexpr std::string_view write_guard_source = {
#include "lua/write_guard.lua.inc"
};

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

// `;;` stands for the default path, `$prefix` for the app's folder.
std::string expand_path(std::string path, std::string_view prefix, std::string_view defaults) {
  if (path.empty()) return std::string(defaults);
  replace_all(path, "${prefix}", prefix);
  replace_all(path, "$prefix", prefix);
  if (const auto at = path.find(";;"); at != std::string::npos) {
    std::string with = ";" + std::string(defaults) + ";";
    path.replace(at, 2, with);
    if (path.front() == ';') path.erase(0, 1);
    if (path.back() == ';') path.pop_back();
  }
  return path;
}

constexpr std::size_t most_spare_records = 256;

std::string take_error(lua_State* state) {
  std::size_t size = 0;
  const char* text = lua_tolstring(state, -1, &size);
  std::string error = text != nullptr ? std::string(text, size) : "unknown error";
  lua_pop(state, 1);
  return error;
}

}  // namespace

vm::vm() : timers_(std::make_unique<timer_set>(*this)) {}

vm::~vm() {
  memory_.close();
  if (state_ != nullptr) lua_close(state_);
}

tl::expected<std::unique_ptr<vm>, std::string> vm::prepare() {
  std::unique_ptr<vm> machine(new vm);
  if (std::string error = machine->open(); !error.empty()) return tl::unexpected(error);
  return machine;
}

tl::expected<std::unique_ptr<vm>, std::string> vm::create(vm_options options,
                                                          std::unique_ptr<vm> prepared) {
  if (!prepared) {
    auto fresh = prepare();
    if (!fresh) return fresh;
    prepared = std::move(*fresh);
  }
  if (std::string error = prepared->settle(std::move(options)); !error.empty()) {
    return tl::unexpected(error);
  }
  return prepared;
}

namespace {
// Debian installs OpenResty's libraries as nginx.redis, nginx.websocket.server …: a module of resty
// that is nowhere else is looked for there. Under both names it is one module, loaded once: their
// libraries require each other as nginx.X, and declare C types that cannot be declared twice.
constexpr const char* debian_loader = R"lua(
local loaders = package.loaders
loaders[#loaders + 1] = function(name)
  local rest = name:match("^resty%.(.+)")
  if not rest then return nil end
  local tried = {}
  for i = 2, 4 do
    local found = loaders[i]("nginx." .. rest)
    if type(found) == "function" then return function() return require("nginx." .. rest) end end
    tried[#tried + 1] = found
  end
  return table.concat(tried)
end)lua";
}  // namespace

std::string vm::open() {
  state_ = luaL_newstate();
  if (state_ == nullptr) return "not enough memory for a Lua VM";
  lua_gc(state_, LUA_GCSTOP, 0);
  luaL_openlibs(state_);
  // The API's own set-up runs once: compiled, it would only take traces from the app's code.
  luaJIT_setmode(state_, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);

  lua_newtable(state_);
  ctx_tables_ = luaL_ref(state_, LUA_REGISTRYINDEX);

  // Areas find their VM through the registry while they are being installed.
  lua_pushlightuserdata(state_, this);
  lua_setfield(state_, LUA_REGISTRYINDEX, "troupe.vm");

  preload(state_);
  if (std::string error = install(state_, api_areas()); !error.empty()) return error;
  if (luaL_dostring(state_, debian_loader) != 0) return take_error(state_);

  // `require "ngx"` is the global table.
  lua_getglobal(state_, "package");
  lua_getfield(state_, -1, "loaded");
  for (const char* name : {"ngx", "ndk"}) {
    lua_getglobal(state_, name);
    lua_setfield(state_, -2, name);
  }
  lua_pop(state_, 2);
  return {};
}

std::string vm::settle(vm_options options) {
  options_ = std::move(options);
  if (std::string error = settle_areas(state_); !error.empty()) return error;
  install(state_, options_.environment);

  const std::string& prefix =
      options_.code_prefix.empty() ? options_.prefix : options_.code_prefix;
  lua_getglobal(state_, "package");
  auto set_path = [&](const char* field, const std::string& configured, const std::string& own) {
    lua_getfield(state_, -1, field);
    const std::string defaults = own + lua_tostring(state_, -1);
    lua_pop(state_, 1);
    const std::string path = expand_path(configured, prefix, defaults);
    lua_pushlstring(state_, path.data(), path.size());
    lua_setfield(state_, -2, field);
  };
  set_path("path", options_.package_path,
           prefix.empty() ? "" : prefix + "lua/?.lua;" + prefix + "lua/?/init.lua;");
  set_path("cpath", options_.package_cpath, "");
  lua_pop(state_, 1);

  for (const auto& [name, dict] : options_.shared_dicts) publish(state_, name, *dict);

  luaJIT_setmode(state_, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
  if (options_.max_slice_ms > 0 || options_.max_memory > 0) interrupts_.open(state_);
  lua_gc(state_, LUA_GCRESTART, 0);
  if (options_.max_memory > 0) memory_.open(state_, options_.max_memory, interrupts_);
  return memory_error();
}

void vm::collect() noexcept {
  lua_cpcall(
      state_,
      [](lua_State* state) {
        static_cast<vm*>(lua_touserdata(state, 1))->memory_.collect(state);
        return 0;
      },
      this);
}

std::string vm::memory_error() {
  if (memory_.is_exceeded()) collect();
  return memory_.is_exceeded() ? "not enough memory: " + memory_.describe() : std::string();
}

tl::expected<void, std::string> vm::compile(const chunk_source& source) {
  int status = 0;
  if (source.path.empty()) {
    status = luaL_loadbuffer(state_, source.text.data(), source.text.size(),
                             source.chunk_name.c_str());
  } else {
    status = luaL_loadfile(state_, source.path.c_str());
  }
  if (status != 0) return tl::unexpected(take_error(state_));
  if (chunks_.size() <= static_cast<std::size_t>(source.id)) {
    chunks_.resize(static_cast<std::size_t>(source.id) + 1, LUA_NOREF);
  }
  int& slot = chunks_[static_cast<std::size_t>(source.id)];
  if (slot != LUA_NOREF) luaL_unref(state_, LUA_REGISTRYINDEX, slot);
  slot = luaL_ref(state_, LUA_REGISTRYINDEX);
  return {};
}

tl::expected<int, std::string> vm::compile_file(const std::string& path, bool cached) {
  if (cached) {
    if (const auto found = files_.find(path); found != files_.end()) return found->second;
  }
  if (luaL_loadfile(state_, path.c_str()) != 0) return tl::unexpected(take_error(state_));
  const auto known = files_.find(path);
  const int id = known != files_.end() ? known->second : next_file_id_++;
  if (known != files_.end()) luaL_unref(state_, LUA_REGISTRYINDEX, file_chunks_[id]);
  file_chunks_[id] = luaL_ref(state_, LUA_REGISTRYINDEX);
  files_[path] = id;
  return id;
}

void vm::push_chunk(lua_State* to, int id) const {
  if (static_cast<std::size_t>(id) < chunks_.size()) {
    lua_rawgeti(to, LUA_REGISTRYINDEX, chunks_[static_cast<std::size_t>(id)]);
    return;
  }
  lua_rawgeti(to, LUA_REGISTRYINDEX, file_chunks_.at(id));
}

void vm::guard_globals() {
  if (kept_modules_ != LUA_NOREF) return;  // A release that serves again.
  if (luaL_loadbuffer(state_, write_guard_source.data(), write_guard_source.size(),
                      "=_G write guard") != 0 ||
      lua_pcall(state_, 0, 0, 0) != 0) {
    lua_pop(state_, 1);
  }
  lua_getfield(state_, LUA_REGISTRYINDEX, "_LOADED");
  kept_modules_ = keep_names();
  lua_pushvalue(state_, LUA_GLOBALSINDEX);
  kept_globals_ = keep_names();
}

// The names in the table on top of the stack, which goes, as a set in the registry.
int vm::keep_names() {
  lua_newtable(state_);
  lua_pushnil(state_);
  while (lua_next(state_, -3) != 0) {
    lua_pop(state_, 1);
    lua_pushvalue(state_, -1);
    lua_pushboolean(state_, 1);
    lua_rawset(state_, -4);
  }
  const int kept = luaL_ref(state_, LUA_REGISTRYINDEX);
  lua_pop(state_, 1);
  return kept;
}

// Takes from the table on top of the stack, which goes, what is not in the set.
void vm::drop_other_names(int kept) {
  lua_rawgeti(state_, LUA_REGISTRYINDEX, kept);
  lua_pushnil(state_);
  while (lua_next(state_, -3) != 0) {
    lua_pop(state_, 1);
    lua_pushvalue(state_, -1);
    lua_rawget(state_, -3);
    const bool stays = lua_toboolean(state_, -1) != 0;
    lua_pop(state_, 1);
    if (stays) continue;
    lua_pushvalue(state_, -1);
    lua_pushnil(state_);
    lua_rawset(state_, -5);
  }
  lua_pop(state_, 2);
}

void vm::forget_modules() {
  if (kept_modules_ == LUA_NOREF) return;
  lua_getfield(state_, LUA_REGISTRYINDEX, "_LOADED");
  drop_other_names(kept_modules_);
  lua_pushvalue(state_, LUA_GLOBALSINDEX);
  drop_other_names(kept_globals_);
}

void vm::stand(standing now) noexcept {
  standing_ = now;
  for (change_watch* each : {&config_waiters_, &cluster_waiters_}) {
    if (now == standing::serving) each->begin();
    else each->end();
  }
}

coroutine& vm::acquire_entry() {
  const memory_cap::scope free(memory_, false);
  if (!idle_entries_.empty()) {
    coroutine& co = *idle_entries_.back();
    idle_entries_.pop_back();
    lua_settop(co.state, 0);
    return co;
  }
  auto record = std::make_unique<coroutine>();
  coroutine& co = *record;
  co.state = lua_newthread(state_);
  co.anchor = luaL_ref(state_, LUA_REGISTRYINDEX);
  entries_.push_back(std::move(record));
  return co;
}

void vm::release_entry(coroutine& co, bool reusable) noexcept {
  const memory_cap::scope free(memory_, false);
  co.owner = nullptr;
  co.status = coroutine_state::suspended;
  if (!reusable) {
    // A coroutine that was cut off cannot run again; its record gets a new Lua thread.
    lua_setexdata2(co.state, nullptr);
    lua_setexdata(co.state, nullptr);
    luaL_unref(state_, LUA_REGISTRYINDEX, co.anchor);
    co.state = lua_newthread(state_);
    co.anchor = luaL_ref(state_, LUA_REGISTRYINDEX);
  }
  idle_entries_.push_back(&co);
}

std::unique_ptr<coroutine> vm::take_record() {
  if (spare_records_.empty()) return std::make_unique<coroutine>();
  std::unique_ptr<coroutine> record = std::move(spare_records_.back());
  spare_records_.pop_back();
  return record;
}

void vm::give_back(std::unique_ptr<coroutine> record) noexcept {
  if (spare_records_.size() >= most_spare_records) return;
  record->reset();
  spare_records_.push_back(std::move(record));
}

int vm::new_ctx_slot() {
  if (!ctx_free_.empty()) {
    const int slot = ctx_free_.back();
    ctx_free_.pop_back();
    return slot;
  }
  return static_cast<int>(++ctx_next_);
}

void vm::release_ctx(int slot) noexcept {
  if (options_.log != nullptr && options_.log->enabled(net::log_level::debug)) {
    options_.log->write(net::log_level::debug, "lua release ngx.ctx at ref " + std::to_string(slot));
  }
  const memory_cap::scope free(memory_, false);
  lua_rawgeti(state_, LUA_REGISTRYINDEX, ctx_tables_);
  lua_pushnil(state_);
  lua_rawseti(state_, -2, slot);
  lua_pop(state_, 1);
  ctx_free_.push_back(slot);
}

void vm::push_ctx_tables(lua_State* to) const { lua_rawgeti(to, LUA_REGISTRYINDEX, ctx_tables_); }

}  // namespace troupe::lua
