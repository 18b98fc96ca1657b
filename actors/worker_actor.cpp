// SPDX-License-Identifier: Apache-2.0
#include "actors/worker_actor.hpp"

namespace troupe::actors {
namespace {
const net::log_context& log_of(const shard_release& release) {
  const net::log_context* log = release.configuration().error_log.get();
  return log != nullptr ? *log : net::null_log();
}
}  // namespace

void worker_actor::worker_log::write(net::log_level level, std::string_view text) const noexcept {
  // As nginx, which does not say it of exit_worker_by_lua.
  if (where_ != lua::phase::init_worker) return below_.write(level, text);
  below_.write(level, std::string(text) + ", context: " + std::string(lua::directive_name(where_)));
}

worker_actor::worker_actor(caf::actor_config& config, shard& home,
                           std::shared_ptr<shard_release> release, lua::phase where, done on_done)
    : script_actor(config, home),
      release_(std::move(release)),
      log_(log_of(*release_), where),
      where_(where),
      on_done_(std::move(on_done)) {
  home.add(*this);
}

void worker_actor::run(shard& home, std::shared_ptr<shard_release> release, int chunk,
                       lua::phase where, std::int64_t most_ms, done on_done) {
  auto made = spawn_on<worker_actor>(home, release, where, std::move(on_done));
  worker_actor& self = *made.self;
  self.self_ = std::move(made.handle);
  self.script_.emplace(release->machine(), self);
  if (most_ms > 0) {
    self.limit_.self = &self;
    self.limit_.ms = most_ms;
    home.loop().timers().arm(self.limit_, most_ms);
  }
  self.script_->start(chunk, where, nullptr, self.log_);
  self.on_progress(*self.script_);
}

caf::behavior worker_actor::make_behavior() {
  return {[this](closed) { quit(); }};
}

void worker_actor::on_progress(lua::script& resumed) {
  if (resumed.state() == lua::script::progress::waiting) return;
  end(resumed.state() == lua::script::progress::failed ? resumed.error_message() : "");
}

void worker_actor::limit::on_timer() noexcept {
  self->end("it has not ended within " + std::to_string(ms) + " ms (lua_init_timeout)");
}

void worker_actor::end(std::string error) noexcept {
  if (!on_done_) return;
  loop().timers().cancel(limit_);
  const auto told = std::exchange(on_done_, nullptr);
  home().remove(*this);
  script_.reset();
  tell(closed{});
  told(std::move(error));
  release_.reset();
  self_ = nullptr;
}

}  // namespace troupe::actors
