// SPDX-License-Identifier: Apache-2.0
//
// The CAF messages to the actors of a shard, and their type ids. They hold pointers and stay on their
// shard, where letters.hpp carries most of what is said; between nodes other messages travel (cluster/).
//
// Source   https://actor-framework.readthedocs.io/en/0.17.6/ "Type IDs", "Messaging".
#pragma once

#include <caf/all.hpp>
#include <cstdint>

namespace troupe::net {
class exchange;
}

namespace troupe::actors {

class exchange_box;

/// A counted reference to an exchange, so that one in a mailbox outlives its owner. The count is not
/// atomic: messages with it never leave their shard.
class exchange_ref {
public:
  exchange_ref() noexcept = default;
  explicit exchange_ref(exchange_box* box) noexcept;
  exchange_ref(const exchange_ref& other) noexcept;
  exchange_ref(exchange_ref&& other) noexcept : box_(other.box_) { other.box_ = nullptr; }
  exchange_ref& operator=(exchange_ref other) noexcept {
    std::swap(box_, other.box_);
    return *this;
  }
  ~exchange_ref();

  exchange_box* operator->() const noexcept { return box_; }
  exchange_box& operator*() const noexcept { return *box_; }
  explicit operator bool() const noexcept { return box_ != nullptr; }

private:
  exchange_box* box_ = nullptr;
};

/// To an actor that an embedder puts in the place of a stage: carry this exchange through your phase.
/// A message whose entry is no longer the exchange's comes too late; drop it.
struct enter_stage {
  exchange_ref exchange;
  std::uint32_t entry = 0;
};
/// To an actor that talks to a client: stop at the next good moment.
struct close_gracefully {};
/// To itself: the client ended its side before its request got anywhere; look what that means.
struct client_ended {};
/// To itself: the socket is gone, end.
struct closed {};

}  // namespace troupe::actors

CAF_BEGIN_TYPE_ID_BLOCK(troupe, first_custom_type_id)
CAF_ADD_TYPE_ID(troupe, (troupe::actors::enter_stage))
CAF_ADD_TYPE_ID(troupe, (troupe::actors::close_gracefully))
CAF_ADD_TYPE_ID(troupe, (troupe::actors::closed))
CAF_ADD_TYPE_ID(troupe, (troupe::actors::client_ended))
CAF_END_TYPE_ID_BLOCK(troupe)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::enter_stage)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::close_gracefully)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::closed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::client_ended)
