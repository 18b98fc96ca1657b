// SPDX-License-Identifier: Apache-2.0
#include "cluster/leadership.hpp"

#include "cluster/base64url.hpp"
#include "cluster/order.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <pthread.h>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto ask_within = 3s;
constexpr auto leave_within = 500ms;
constexpr auto retry_after = 200ms;
constexpr int renewals = 4;  ///< Within a lease.
constexpr int margin = 5;    ///< It counts for this share of a lease less than etcd says.

std::uint64_t number(std::string_view text) {
  std::uint64_t result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

/// Of a transaction or range with one key.
const etcd_entry* only(const std::vector<etcd_entry>& list) {
  return list.empty() ? nullptr : &list.front();
}

}  // namespace

std::string leader_record::encode() const {
  return name + '\n' + address + '\n' + std::to_string(epoch) + '\n' + nonce;
}

std::optional<leader_record> leader_record::decode(std::string_view text) {
  std::string_view parts[4];
  for (int i = 0; i < 3; ++i) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    parts[i] = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  parts[3] = text;
  return leader_record{std::string(parts[0]), std::string(parts[1]), number(parts[2]),
                       std::string(parts[3])};
}

leadership::leadership(options how)
    : how_(std::move(how)), keys_{how_.store.prefix}, etcd_(how_.store) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "etcd leader");
    run();
  });
}

leadership::~leadership() {
  std::int64_t left = 0;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left = lease_;
  }
  etcd_.stop();
  wanted_.notify_all();
  thread_.join();
  if (left != 0) {
    etcd_client last(how_.store, leave_within);
    // Without it the others wait for the lease's end.
    static_cast<void>(last.revoke(left, clock::now() + leave_within));
  }
}

void leadership::campaign(std::uint64_t floor, bool may_begin) {
  const std::lock_guard lock(mutex_);
  floor_ = std::max(floor_, floor);
  may_begin_ = may_begin;
  if (!wants_) wanted_.notify_all();
  wants_ = true;
}

void leadership::resign() {
  const std::lock_guard lock(mutex_);
  wants_ = false;
  held_.reset();
  wanted_.notify_all();
}

std::optional<leadership::hold> leadership::held() const {
  const auto until = valid_until();
  const std::lock_guard lock(mutex_);
  if (clock::now() >= until) return std::nullopt;
  return held_;
}

leadership::instant leadership::valid_until() const {
  const std::lock_guard lock(mutex_);
  return held_ ? sent_ + life_ - life_ / margin : instant::min();
}

std::optional<leader_record> leadership::leader() const {
  const std::lock_guard lock(mutex_);
  return leader_;
}

bool leadership::lacks_history() const {
  const std::lock_guard lock(mutex_);
  return lacks_history_;
}

std::string leadership::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

std::string leadership::why_lost() const {
  const std::lock_guard lock(mutex_);
  return why_lost_;
}

void leadership::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    clock::duration pause = how_.look_every;
    if (held_) {
      renew(lock);
      pause = problem_.empty() ? std::min<clock::duration>(life_ / renewals, 2s) : retry_after;
    } else if (lease_ != 0) {
      give_up(lock);
      pause = lease_ == 0 ? 0s : clock::duration(retry_after);
    } else {
      look(lock);
    }
    if (pause > 0s && !stopping_) wanted_.wait_for(lock, pause);
  }
}

void leadership::look(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  auto found = etcd_.range(keys_.leader(), {}, 1, clock::now() + ask_within);
  lock.lock();
  if (stopping_) return;
  if (!found) {
    problem_ = found.error().reason;
    return;
  }
  problem_.clear();
  const etcd_entry* entry = only(*found);
  auto record = entry != nullptr ? leader_record::decode(entry->value) : std::nullopt;
  const bool is_news =
      record.has_value() != leader_.has_value() || (record && record->nonce != leader_->nonce);
  leader_ = std::move(record);
  if (is_news) changed();
  if (entry != nullptr) lacks_history_ = false;
  if (entry == nullptr && wants_) take(lock);
}

leadership::attempt leadership::ask_for_it(std::uint64_t floor, bool may_begin) {
  attempt result;
  const auto deadline = clock::now() + ask_within;
  const auto last = etcd_.range(keys_.epoch(), {}, 1, deadline);
  if (!last) return result.failed(last.error());
  const auto head = etcd_.range(keys_.head(), {}, 1, deadline);
  if (!head) return result.failed(head.error());
  if (head->empty() && !may_begin) {
    result.lacks_history = true;
    return result;
  }
  const etcd_entry* epoch = only(*last);
  const auto at = head->empty() ? std::nullopt : position_from(head->front().value);
  leader_record& own = result.own;
  own.name = how_.name;
  own.address = how_.address;
  own.epoch = std::max({floor, epoch != nullptr ? number(epoch->value) : 0,
                        at ? at->epoch : std::uint64_t{0}}) +
              1;
  const order_id random = new_order_id();
  own.nonce = to_base64url({reinterpret_cast<const char*>(random.data()), random.size()});
  result.sent = clock::now();
  const auto lease = etcd_.grant(how_.life, deadline);
  if (!lease) return result.failed(lease.error());
  result.lease = *lease;
  etcd_compare same{.key = keys_.epoch(), .create_revision = 0};
  if (epoch != nullptr) same = {.key = keys_.epoch(), .value = epoch->value};
  using what = etcd_operation::what;
  const auto done = etcd_.transact({{.key = keys_.leader(), .create_revision = 0}, same},
                                   {{what::put, keys_.leader(), own.encode(), lease->id},
                                    {what::put, keys_.epoch(), std::to_string(own.epoch)},
                                    {what::range, keys_.leader()}},
                                   {{what::range, keys_.leader()}}, deadline);
  if (!done) return result.failed(done.error());
  // It may have been done by a try whose answer was lost.
  const etcd_entry* entry = done->ranges.empty() ? nullptr : only(done->ranges.front());
  if (entry != nullptr && entry->value == own.encode()) {
    result.taken = hold{{entry->create_revision, entry->value}, own.epoch};
  }
  return result;
}

void leadership::take(std::unique_lock<std::mutex>& lock) {
  const std::uint64_t floor = floor_;
  const bool may_begin = may_begin_;
  lock.unlock();
  attempt how = ask_for_it(floor, may_begin);
  lock.lock();
  if (how.lease.id != 0) lease_ = how.lease.id;
  problem_ = how.problem;
  if (std::exchange(lacks_history_, how.lacks_history) != how.lacks_history) changed();
  if (!how.taken || !wants_ || stopping_) return;  // the lease is given back next
  life_ = how.lease.life;
  sent_ = how.sent;
  held_ = std::move(how.taken);
  leader_ = std::move(how.own);
  changed();
}

void leadership::renew(std::unique_lock<std::mutex>& lock) {
  const std::int64_t id = lease_;
  const leader_fence fence = held_->fence;
  const auto until = sent_ + life_ - life_ / margin;
  lock.unlock();
  const auto sent = clock::now();
  const auto deadline = std::min<instant>(sent + ask_within, until);
  const auto life = etcd_.keep_alive(id, deadline);
  auto found = life ? etcd_.range(keys_.leader(), {}, 1, deadline)
                    : tl::expected<std::vector<etcd_entry>, refusal>(tl::unexpected(life.error()));
  lock.lock();
  if (stopping_ || !held_) return;
  if (!found) {
    problem_ = found.error().reason;
    if (clock::now() >= until) lose("etcd cannot be reached: " + problem_);
    return;
  }
  problem_.clear();
  const etcd_entry* entry = only(*found);
  if (life->count() <= 0 || entry == nullptr || entry->value != fence.value ||
      entry->create_revision != fence.create_revision) {
    lose("the lease has ended");
    return;
  }
  sent_ = sent;
  life_ = *life;
}

void leadership::lose(std::string why) {
  held_.reset();
  leader_.reset();
  why_lost_ = std::move(why);
  changed();
}

void leadership::give_up(std::unique_lock<std::mutex>& lock) {
  const std::int64_t id = lease_;
  lock.unlock();
  const auto done = etcd_.revoke(id, clock::now() + ask_within);
  lock.lock();
  if (done || done.error().errc == refusal_errc::missing) lease_ = 0;
  problem_ = lease_ != 0 ? done.error().reason : std::string();
}

}  // namespace troupe::cluster
