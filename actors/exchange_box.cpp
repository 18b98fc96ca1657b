// SPDX-License-Identifier: Apache-2.0
#include "actors/exchange_box.hpp"

#include <utility>

#include "actors/shard_release.hpp"

namespace troupe::actors {
namespace {
// A request with ten subrequests holds eleven.
constexpr std::size_t most_idle = 1024;
}

exchange_ref::exchange_ref(exchange_box* box) noexcept : box_(box) {
  if (box_ != nullptr) ++box_->references_;
}

exchange_ref::exchange_ref(const exchange_ref& other) noexcept : exchange_ref(other.box_) {}

exchange_ref::~exchange_ref() {
  if (box_ != nullptr && --box_->references_ == 0) box_->pool_.recycle(box_);
}

void exchange_box::use(const location& where) noexcept {
  place = &where;
  x.settings = &where.settings;
  x.log_target = where.error_log.get();
  x.has_header_filter = static_cast<bool>(where.header_filter);
  x.has_body_filter = static_cast<bool>(where.body_filter);
  const bool keeps = counted_ && where.settings.on_release == net::release_policy::keep;
  if (keeps != kept_) release->exchange_kept(kept_ = keeps);
}

void exchange_box::belong(std::shared_ptr<shard_release> to) {
  release = std::move(to);
  release->exchange_began();
  counted_ = true;
}

void exchange_box::reset() noexcept {
  handler.reset();
  filter.reset();
  subrequest.reset();
  if (x.ctx_ref > 0 && release) release->machine().release_ctx(x.ctx_ref);
  x.reset();
  owner = nullptr;
  server = nullptr;
  place = nullptr;
  stages = nullptr;
  if (std::exchange(kept_, false)) release->exchange_kept(false);
  if (std::exchange(counted_, false)) release->exchange_ended();
  release.reset();
}

exchange_pool::exchange_pool(net::cached_clock& clock) : clock_(clock) {}
exchange_pool::~exchange_pool() = default;

exchange_ref exchange_pool::make() {
  if (idle_.empty()) {
    auto* made = new exchange_box(*this);
    made->x.clock = &clock_;
    return exchange_ref(made);
  }
  exchange_box* box = idle_.back().release();
  idle_.pop_back();
  return exchange_ref(box);
}

void exchange_pool::recycle(exchange_box* box) noexcept {
  box->reset();
  if (idle_.size() < most_idle) {
    idle_.emplace_back(box);
  } else {
    delete box;
  }
}

}  // namespace troupe::actors
