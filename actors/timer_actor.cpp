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

timer_actor::timer_actor(caf::actor_config& config, shard& home)
    : script_actor(config, home), log_(*this) {}

void timer_actor::start(shard& home, std::shared_ptr<shard_release> release,
                        lua::due_timer timer) {
  auto made = spawn_or_wake<timer_actor>(home, home.idle_timers());
  timer_actor& self = *made.self;
  self.self_ = std::move(made.handle);
  self.release_ = std::move(release);
  self.timer_ = std::move(timer);
  self.number_ = home.next_connection_number();
  self.was_told_ = false;
  home.add(self);
  home.letters().begin(self);
}

caf::behavior timer_actor::make_behavior() {
  return {[this](closed) { quit(); }};
}

// Also the way out when somebody killed this actor: it must not rest.
void timer_actor::on_exit() {
  was_told_ = false;
  end();
  self_ = nullptr;
}

void timer_actor::on_begin() {
  was_told_ = true;
  if (release_ == nullptr) return rest();  // Ended before it began.
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
  rest();
}

void timer_actor::rest() noexcept {
  if (!was_told_ || self_ == nullptr) return;  // Its first letter is still to come, or it is over.
  if (!home().idle_timers().give(self_)) tell(closed{});
  self_ = nullptr;
}

}  // namespace troupe::actors
