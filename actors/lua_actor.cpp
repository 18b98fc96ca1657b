// SPDX-License-Identifier: Apache-2.0
#include "actors/lua_actor.hpp"

#include "lua/vm.hpp"

namespace troupe::actors {

using net::log_level;

lua_actor::lua_actor(caf::actor_config& config, shard& home, std::shared_ptr<shard_release> release,
                     lua::actor_start what)
    : script_actor(config, home), release_(std::move(release)), what_(std::move(what)) {
  home.add(*this);
}

lua::mail_address lua_actor::start(shard& home, std::shared_ptr<shard_release> release,
                                   lua::actor_start what) {
  auto made = spawn_on<lua_actor>(home, std::move(release), std::move(what));
  made.self->self_ = made.handle;
  home.letters().begin(*made.self);
  return made.self->mailbox().address();
}

caf::behavior lua_actor::make_behavior() {
  return {[this](closed) { quit(); }};
}

void lua_actor::on_begin() {
  if (release_ != nullptr) work("init", what_.arguments);
}

void lua_actor::on_exit() { end("killed"); }

void lua_actor::work(const char* how, const lua::carried_message& arguments) {
  lua_State* from = release_->machine().state();
  lua_checkstack(from, static_cast<int>(arguments.size()) + 4);
  lua_getfield(from, LUA_REGISTRYINDEX, "troupe.actor_loop");
  lua_pushlstring(from, what_.module.data(), what_.module.size());
  lua_pushstring(from, how);
  for (const lua::carried_value& each : arguments) each.push(from);
  script_.emplace(release_->machine(), *this);
  const net::log_context* log = release_->configuration().error_log.get();
  script_->start(from, static_cast<int>(arguments.size()) + 2, lua::phase::timer, nullptr,
                 log != nullptr ? *log : net::null_log());
  on_progress(*script_);
}

void lua_actor::on_progress(lua::script& resumed) {
  switch (resumed.state()) {
    case lua::script::progress::waiting: return;
    case lua::script::progress::failed: {
      const auto& log = release_->configuration().error_log;
      if (log && log->enabled(log_level::error)) {
        log->write(log_level::error, "lua actor " + what_.module + ' ' +
                                         mailbox().address().text() +
                                         " ended: runtime error: " + resumed.error());
      }
      return end(resumed.error_message());
    }
    case lua::script::progress::stopped: return end("normal");  // ngx.exit
    case lua::script::progress::done: break;
  }
  lua_State* results = resumed.results();
  const int first = lua_gettop(results) - resumed.result_count() + 1;
  const std::string_view what = lua_tostring(results, first);
  if (what == "move") return move(results, first + 1);
  std::size_t size = 0;
  const char* reason = lua_tolstring(results, first + 1, &size);
  end(reason != nullptr ? std::string(reason, size) : "normal");
}

void lua_actor::move(lua_State* results, int state) {
  auto carried = lua::carried_value::take(results, state);
  if (!carried) return end("released: its state cannot move: " + carried.error());
  script_.reset();
  mailbox().resume();
  release_ = home().current();
  if (release_ == nullptr) return end("node stops");
  lua::carried_message arguments;
  arguments.push_back(std::move(*carried));
  work("code_change", arguments);
}

void lua_actor::end(std::string reason) noexcept {
  if (release_ == nullptr) return;
  script_.reset();
  mailbox().reason = std::move(reason);
  mail_.end();
  home().remove(*this);
  release_.reset();
  tell(closed{});
  self_ = nullptr;
}

void lua_actor::end_gracefully() noexcept { mailbox().interrupt("node stops"); }

void lua_actor::end_with(const shard_release& release, std::int64_t) noexcept {
  if (release_.get() == &release) end("released");
}

void lua_actor::change_release(const shard_release& from) noexcept {
  if (release_.get() == &from) mailbox().interrupt("move");
}

}  // namespace troupe::actors
