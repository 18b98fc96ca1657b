// SPDX-License-Identifier: Apache-2.0
//
// The base of every actor of ours: a CAF actor that lives on a shard. Whoever sends it mail, from
// whatever thread, it runs on its home shard.
//
// What carries an exchange along its way and what wakes a script are letters of the shard (letters.hpp);
// all other messages go through CAF's mailboxes.
//
// Source   caf/event_based_actor.hpp and scheduled_actor.cpp of CAF 0.17.6: enqueue() is its
//          scheduling hook; run() does what resume() does around a message.
// Thread   messages are handled on the home shard; sending to it: any.
#pragma once

#include <caf/all.hpp>
#include <utility>

#include "actors/messages.hpp"
#include "actors/shard.hpp"

namespace troupe::actors {

class shard_actor : public caf::event_based_actor {
public:
  shard_actor(caf::actor_config& config, shard& home);

  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) override {
    caf::event_based_actor::enqueue(std::move(message), &home_);
  }

  /// Does `work` as this actor: what it handles a letter with. Not from within an actor.
  /// @return false, and nothing was done: it has ended.
  template <class Work>
  bool run(Work work) {
    if (!begin_run()) return false;
    work();
    end_run();
    return true;
  }

  [[nodiscard]] shard& home() const noexcept { return home_; }

  /// A message into its mailbox.
  template <class Message>
  void tell(Message&& message) {
    enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), {},
                                      std::forward<Message>(message)),
            &home_);
  }

private:
  bool begin_run();
  void end_run();

  shard& home_;
};

/// An actor just made: a strong handle keeps it alive, the pointer is for its own shard.
template <class Actor>
struct spawned {
  Actor* self;
  caf::strong_actor_ptr handle;
};

/// Makes an actor of ours on its shard: it runs from its first message on and does not hold up the
/// end of the actor system.
template <class Actor, class... Arguments>
spawned<Actor> spawn_on(shard& home, Arguments&&... arguments) {
  constexpr auto options = static_cast<caf::spawn_options>(
      static_cast<int>(caf::spawn_options::lazy_init_flag) |
      static_cast<int>(caf::spawn_options::hide_flag));
  caf::actor_config config{&home};
  auto handle = home.system().spawn_class<Actor, options>(
      config, home, std::forward<Arguments>(arguments)...);
  auto* self = static_cast<Actor*>(caf::actor_cast<caf::abstract_actor*>(handle));
  return {self, caf::actor_cast<caf::strong_actor_ptr>(handle)};
}

/// One that rests, or a new one.
template <class Actor>
spawned<Actor> spawn_or_wake(shard& home, idle_actors& resting) {
  caf::strong_actor_ptr one = resting.take();
  if (!one) return spawn_on<Actor>(home);
  auto* self = static_cast<Actor*>(caf::actor_cast<caf::abstract_actor*>(one));
  return {self, std::move(one)};
}

}  // namespace troupe::actors
