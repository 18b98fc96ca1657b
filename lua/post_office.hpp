// SPDX-License-Identifier: Apache-2.0
//
// Messages between Lua code of a node: each request, timer or worker that asks for it has an address
// and a mailbox. A shard has one post office; it delivers on its own shard and hands the rest to the
// loops of the others.
//
// Source   docs/lua-api.md, "Messages"; after Erlang's send and receive.
// Thread   that of its shard; send() of others reaches it as a task of its loop.
// Errors   texts that send() returns.
// Memory   a mailbox goes with its owner; it holds at most `most_waiting` messages.
// Called   by lua/api/actor.cpp; owned by actors/shard.
#pragma once

#include <lua.hpp>

#include <compare>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lua/thread_pool.hpp"
#include "lua/wait_table.hpp"
#include "net/belongings.hpp"
#include "net/timer_wheel.hpp"

namespace troupe::net {
class event_loop;
}

namespace troupe::lua {

class script_host;

using carried_message = std::vector<carried_value>;

/// `<SHARD.NUMBER>`: what troupe.self() gives. Numbers are never used again.
struct mail_address {
  unsigned shard = 0;
  std::uint64_t number = 0;

  [[nodiscard]] std::string text() const;
  static std::optional<mail_address> parse(std::string_view text) noexcept;
  auto operator<=>(const mail_address&) const = default;
};

class post_office;

/// Of one owner; it leaves its office when the owner ends.
class mailbox final : public net::belonging {
public:
  static constexpr std::size_t most_waiting = 65536;

  mailbox(post_office& office, net::belongings& owner, mail_address address);

  [[nodiscard]] const mail_address& address() const noexcept { return address_; }
  /// False: it is full.
  bool put(carried_message message);
  /// Use as `return receive(L, ms)`: the values of the next message; nil and "timeout".
  /// @param ms  -1: as long as it takes.
  int receive(lua_State* state, std::int64_t ms);
  /// For the loop of an actor: true and the values of the next message; false and why, once it is
  /// interrupted.
  int next(lua_State* state);
  /// Ends the wait of next(), and lets none begin, until resume().
  void interrupt(std::string why) noexcept;
  void resume() noexcept { interrupted_.clear(); }

  /// What monitors are told at the end.
  std::string reason = "ended";
  void watch_for(const mail_address& monitor) { monitors_.insert(monitor); }

  void on_owner_ended() noexcept override;

private:
  friend class post_office;
  struct waiter final : net::timer {
    void on_timer() noexcept override;
    mailbox* of = nullptr;  ///< Null: out of the queue.
    script_host* host = nullptr;
    wait_token token = wait_token::none;
    std::optional<carried_message> message;
    bool is_next = false;  ///< Of next().
    post_office* office = nullptr;  ///< Where a message that nobody took goes back,
    std::uint64_t number = 0;       ///< if this mailbox is still there.
  };
  static int finish(lua_State* state, void* operation);
  static void cancel(void* operation) noexcept;
  int wait(lua_State* state, std::int64_t ms, bool is_next);
  int push_interruption(lua_State* state) const;
  static int push(lua_State* state, const carried_message& message);

  post_office& office_;
  const net::belongings* key_;  ///< The owner, which may have ended.
  mail_address address_;
  std::deque<carried_message> messages_;
  std::deque<waiter*> waiters_;
  std::set<mail_address> monitors_;  ///< Who is told of its end,
  std::set<mail_address> monitored_; ///< and of whose end it is told: these forget it when it ends.
  std::string interrupted_;  ///< Why; empty: it is not.
};

class post_office {
public:
  post_office(net::event_loop& loop, unsigned shard) : loop_(loop), shard_(shard) {}

  /// All of the node, by shard. Before the first thread starts.
  void connect(std::vector<post_office*> all) { all_ = std::move(all); }

  /// The mailbox of this owner; made when it is first asked for.
  mailbox& of(net::belongings& owner);
  /// Null: delivered, or on its way to another shard. Else why not.
  const char* send(const mail_address& to, carried_message message);
  /// When the owner of `whom` ends, `monitor` gets "down", the address and the reason; at once if there
  /// is nobody.
  void monitor(const mail_address& whom, const mail_address& monitor);

private:
  friend class mailbox;
  void tell_down(const mail_address& monitor, const mail_address& whom, const std::string& reason);
  void end_monitor(const mail_address& whom, const mail_address& monitor);
  /// On the shard of that address, now if it is this one.
  template <class Work>
  void on_shard_of(const mail_address& where, Work work);
  mailbox* find(std::uint64_t number) noexcept;
  void close(const mailbox& one) noexcept;

  net::event_loop& loop_;
  unsigned shard_;
  std::uint64_t made_ = 0;
  std::vector<post_office*> all_;
  std::unordered_map<const net::belongings*, std::unique_ptr<mailbox>> by_owner_;
  std::unordered_map<std::uint64_t, mailbox*> by_number_;
};

}  // namespace troupe::lua
