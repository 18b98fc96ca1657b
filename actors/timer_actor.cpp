// SPDX-License-Identifier: Apache-2.0
#include "actors/timer_actor.hpp"

#include "lua/coroutine.hpp"

namespace troupe::actors {

using net::log_level;

bool timer_actor::timer_log::enabled(log_level level) const noexcept {
  const net::log_context* target = self_.timer_.origin.log;
  return target != nullptr && target->enabled(level);
}

void timer_actor::timer_log::write(log_level level, std::string_view text) const noexcept {
  if (!enabled(level)) return;
  const lua::timer_origin& origin = self_.timer_.origin;
  std::string line = "*" + std::to_string(self_.number_) + " ";
  line += text;
  line += ", context: ngx.timer";
  if (!origin.client.empty()) line += ", client: " + origin.client;
  if (!origin.listener.empty()) line += ", server: " + origin.listener;
  origin.log->write(level, line);
}

timer_actor::timer_actor(caf::actor_config& config, shard& home,
                         std::shared_ptr<shard_release> release, lua::due_timer timer)
    : script_actor(config, home),
      release_(std::move(release)),
      timer_(std::move(timer)),
      log_(*this),
      number_(home.next_connection_number()) {
  home.add(*this);
}

void timer_actor::start(shard& home, std::shared_ptr<shard_release> release,
                        lua::due_timer timer) {
  auto made = spawn_on<timer_actor>(home, std::move(release), std::move(timer));
  made.self->self_ = made.handle;
  made.self->tell(begin_work{});
}

caf::behavior timer_actor::make_behavior() {
  return {[this](begin_work) { run(); },
          [this](wake_up& message) { handle(message); },
          [this](closed) { quit(); }};
}

void timer_actor::on_exit() { end(); }

void timer_actor::run() {
  if (release_ == nullptr) return;  // Ended before it began.
  if (!release_->machine().timers().begin(timer_)) return end();
  lua::coroutine& entry = *std::exchange(timer_.entry, nullptr);
  lua_pushboolean(entry.state, timer_.is_premature ? 1 : 0);
  lua_insert(entry.state, 2);
  script_.emplace(release_->machine(), *this);
  script_->origin = &timer_.origin;
  script_->start(entry, timer_.arguments + 1, lua::phase::timer, nullptr, log_);
  on_progress(*script_);
}

void timer_actor::on_progress(lua::script& resumed) {
  if (resumed.state() == lua::script::progress::waiting) return;
  if (resumed.state() == lua::script::progress::failed && log_.enabled(log_level::error)) {
    log_.write(log_level::error, "lua entry thread aborted: runtime error: " + resumed.error());
  }
  end();
}

void timer_actor::end() noexcept {
  if (release_ == nullptr) return;
  const bool has_begun = timer_.entry == nullptr;
  script_.reset();
  if (!has_begun) release_->machine().release_entry(*timer_.entry, true);
  if (log_.enabled(log_level::debug)) {
    log_.write(log_level::debug, "http lua close fake http connection");
  }
  if (has_begun) release_->machine().timers().ended();
  home().remove(*this);
  release_.reset();
  tell(closed{});
  self_ = nullptr;
}

}  // namespace troupe::actors
