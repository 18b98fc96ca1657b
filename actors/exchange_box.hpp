// SPDX-License-Identifier: Apache-2.0
//
// An exchange with what the actors need beside it: its owner, its release, its scripts. Boxes are
// pooled by the shard and counted by exchange_ref.
//
// Thread   shard.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "actors/messages.hpp"
#include "lua/script.hpp"
#include "net/exchange.hpp"
#include "net/subrequest.hpp"

namespace troupe::actors {

class chain;
class exchange_actor;
class exchange_pool;
class shard_release;
struct location;
struct virtual_server;

class exchange_box {
public:
  explicit exchange_box(exchange_pool& pool) : pool_(pool) {}

  net::exchange x;
  exchange_actor* owner = nullptr;          ///< Null when the owner has ended: drop the exchange.
  std::shared_ptr<shard_release> release;   ///< Keeps the VM that its code runs in.
  const virtual_server* server = nullptr;
  const location* place = nullptr;          ///< Null until a location was found.
  const chain* stages = nullptr;            ///< The chain that it is in.
  const chain* next_stages = nullptr;       ///< Of an `if` block that it goes on with.
  std::uint32_t entry = 0;                  ///< Grows with each stage that it is sent to.

  /// The script of the phase handlers, and that of filters, which run while a handler waits for them.
  std::optional<lua::script> handler;
  std::optional<lua::script> filter;

  /// That a stage waits for.
  std::unique_ptr<net::subrequest> subrequest;

  /// The location's settings and filters hold from here on.
  void use(const location& where) noexcept;

  /// It is one of the release's own: counted there. Not of subrequests.
  void belong(std::shared_ptr<shard_release> to);

  /// Frees what is tied to the request; the VM's tables first.
  void reset() noexcept;

private:
  friend class exchange_ref;
  friend class exchange_pool;
  exchange_pool& pool_;
  std::uint32_t references_ = 0;
  bool counted_ = false;
  bool kept_ = false;
};

class exchange_pool {
public:
  explicit exchange_pool(net::cached_clock& clock);
  ~exchange_pool();
  exchange_ref make();

private:
  friend class exchange_ref;
  void recycle(exchange_box* box) noexcept;
  net::cached_clock& clock_;
  std::vector<std::unique_ptr<exchange_box>> idle_;
};

}  // namespace troupe::actors
