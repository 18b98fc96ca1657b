// SPDX-License-Identifier: Apache-2.0
#include "lua/post_office.hpp"

#include <algorithm>
#include <charconv>

#include "lua/script.hpp"
#include "net/event_loop.hpp"

namespace troupe::lua {

// --- Addresses ------------------------------------------------------------------------------------

std::string mail_address::text() const {
  return "<" + std::to_string(shard) + "." + std::to_string(number) + ">";
}

std::optional<mail_address> mail_address::parse(std::string_view text) noexcept {
  if (text.size() < 5 || text.front() != '<' || text.back() != '>') return {};
  mail_address result;
  const char* const end = text.data() + text.size() - 1;
  const auto shard = std::from_chars(text.data() + 1, end, result.shard);
  if (shard.ec != std::errc{} || shard.ptr == end || *shard.ptr != '.') return {};
  const auto number = std::from_chars(shard.ptr + 1, end, result.number);
  if (number.ec != std::errc{} || number.ptr != end) return {};
  return result;
}

// --- A mailbox ------------------------------------------------------------------------------------

mailbox::mailbox(post_office& office, net::belongings& owner, mail_address address)
    : office_(office), key_(&owner), address_(address) {
  join(owner);
}

void mailbox::on_owner_ended() noexcept {
  for (const mail_address& each : monitors_) office_.tell_down(each, address_, reason);
  for (const mail_address& each : monitored_) office_.end_monitor(each, address_);
  for (waiter* one : waiters_) one->of = nullptr;
  waiters_.clear();
  office_.close(*this);  // Destroys this.
}

bool mailbox::put(carried_message message) {
  if (!waiters_.empty()) {
    waiter& one = *waiters_.front();
    waiters_.pop_front();
    one.of = nullptr;
    one.message = std::move(message);
    one.host->loop().timers().cancel(one);
    one.host->wake(one.token);
    return true;
  }
  if (messages_.size() >= most_waiting) return false;
  messages_.push_back(std::move(message));
  return true;
}

int mailbox::push(lua_State* state, const carried_message& message) {
  const auto count = static_cast<int>(message.size());
  luaL_checkstack(state, count, "message too long");
  for (const carried_value& value : message) value.push(state);
  return count;
}

int mailbox::receive(lua_State* state, std::int64_t ms) {
  if (!messages_.empty()) {
    const carried_message next = std::move(messages_.front());
    messages_.pop_front();
    return push(state, next);
  }
  if (ms == 0) {
    lua_pushnil(state);
    lua_pushliteral(state, "timeout");
    return 2;
  }
  return wait(state, ms, false);
}

int mailbox::next(lua_State* state) {
  if (!interrupted_.empty()) return push_interruption(state);
  if (!messages_.empty()) {
    const carried_message next = std::move(messages_.front());
    messages_.pop_front();
    lua_pushboolean(state, 1);
    return 1 + push(state, next);
  }
  return wait(state, -1, true);
}

int mailbox::push_interruption(lua_State* state) const {
  lua_pushboolean(state, 0);
  lua_pushlstring(state, interrupted_.data(), interrupted_.size());
  return 2;
}

void mailbox::interrupt(std::string why) noexcept {
  interrupted_ = std::move(why);
  for (std::size_t i = 0; i < waiters_.size();) {
    waiter& one = *waiters_[i];
    if (!one.is_next) {
      ++i;
      continue;
    }
    waiters_.erase(waiters_.begin() + static_cast<std::ptrdiff_t>(i));
    one.of = nullptr;
    one.host->wake(one.token);
  }
}

int mailbox::wait(lua_State* state, std::int64_t ms, bool is_next) {
  auto* one = new waiter;
  one->is_next = is_next;
  one->host = &script::of(state)->owner->host();
  one->token = script::begin_wait(state, one, finish, cancel);  // Deletes it when it raises.
  one->of = this;
  one->office = &office_;
  one->number = address_.number;
  waiters_.push_back(one);
  if (ms > 0) one->host->loop().timers().arm(*one, ms);
  return lua_yield(state, 0);
}

void mailbox::waiter::on_timer() noexcept {
  if (of != nullptr) std::erase(of->waiters_, this);
  of = nullptr;
  host->wake(token);
}

int mailbox::finish(lua_State* state, void* operation) {
  const std::unique_ptr<waiter> one(static_cast<waiter*>(operation));
  if (one->is_next) {
    lua_pushboolean(state, one->message ? 1 : 0);
    if (one->message) return 1 + push(state, *one->message);
    const mailbox* box = one->office->find(one->number);
    lua_pushstring(state, box != nullptr ? box->interrupted_.c_str() : "ended");
    return 2;
  }
  if (one->message) return push(state, *one->message);
  lua_pushnil(state);
  lua_pushliteral(state, "timeout");
  return 2;
}

// A light thread was killed while it waited; what it got in the same moment is for the next one.
void mailbox::cancel(void* operation) noexcept {
  const std::unique_ptr<waiter> one(static_cast<waiter*>(operation));
  if (one->of != nullptr) std::erase(one->of->waiters_, one.get());
  if (!one->message) return;
  if (mailbox* source = one->office->find(one->number)) {
    source->messages_.push_front(std::move(*one->message));
  }
}

// --- The office -----------------------------------------------------------------------------------

mailbox& post_office::of(net::belongings& owner) {
  auto& slot = by_owner_[&owner];
  if (!slot) {
    slot = std::make_unique<mailbox>(*this, owner, mail_address{shard_, ++made_});
    by_number_[slot->address().number] = slot.get();
  }
  return *slot;
}

mailbox* post_office::find(std::uint64_t number) noexcept {
  const auto found = by_number_.find(number);
  return found != by_number_.end() ? found->second : nullptr;
}

void post_office::close(const mailbox& one) noexcept {
  by_number_.erase(one.address_.number);
  by_owner_.erase(one.key_);
}

const char* post_office::send(const mail_address& to, carried_message message) {
  if (to.shard >= all_.size()) return "no such address";
  post_office& target = *all_[to.shard];
  if (&target != this) {
    target.loop_.post([&target, number = to.number, message = std::move(message)]() mutable {
      if (mailbox* box = target.find(number)) box->put(std::move(message));
    });
    return nullptr;
  }
  mailbox* box = find(to.number);
  if (box == nullptr) return "no such address";
  return box->put(std::move(message)) ? nullptr : "mailbox full";
}

template <class Work>
void post_office::on_shard_of(const mail_address& where, Work work) {
  post_office& target = *all_[where.shard];
  if (&target == this) work(target);
  else target.loop_.post([&target, work = std::move(work)]() mutable { work(target); });
}

void post_office::tell_down(const mail_address& monitor, const mail_address& whom,
                            const std::string& reason) {
  on_shard_of(monitor, [monitor, whom, reason](post_office& there) {
    mailbox* box = there.find(monitor.number);
    if (box == nullptr) return;
    box->monitored_.erase(whom);
    carried_message message;
    for (const std::string& text : {std::string("down"), whom.text(), reason}) {
      message.push_back(carried_value{text});
    }
    box->put(std::move(message));
  });
}

void post_office::monitor(const mail_address& whom, const mail_address& monitor) {
  if (whom.shard >= all_.size()) return tell_down(monitor, whom, "no such address");
  if (mailbox* own = find(monitor.number)) own->monitored_.insert(whom);
  on_shard_of(whom, [whom, monitor](post_office& there) {
    if (mailbox* box = there.find(whom.number)) box->watch_for(monitor);
    else there.tell_down(monitor, whom, "no such address");
  });
}

void post_office::end_monitor(const mail_address& whom, const mail_address& monitor) {
  on_shard_of(whom, [whom, monitor](post_office& there) {
    if (mailbox* box = there.find(whom.number)) box->monitors_.erase(monitor);
  });
}

}  // namespace troupe::lua
