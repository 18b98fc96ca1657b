// SPDX-License-Identifier: Apache-2.0
//
// Names to addresses, without blocking: DNS by c-ares on the shard's loop. Without servers of its own
// it does as the system does (/etc/hosts, /etc/resolv.conf with search and ndots).
//
// Source   https://nginx.org/en/docs/http/ngx_http_core_module.html#resolver; c-ares 1.18; RFC 8305
//          section 4 for the order of addresses.
// Thread   shard.
// Errors   nginx's words: "NAME could not be resolved (3: Host not found)".
// Memory   answers are kept as long as DNS says, at most `most_kept` of them.
#pragma once

#include <ares.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/address.hpp"
#include "net/event_loop.hpp"

namespace troupe::net {

struct lookup;

/// `resolver ADDRESS … [valid=TIME] [ipv4=off] [ipv6=off];`
struct resolver_settings {
  std::string servers;          ///< "127.0.0.1:53,[::1]:5353"; empty: the system's.
  std::int64_t valid_ms = -1;   ///< -1: what DNS says.
  bool ipv4 = true;
  bool ipv6 = true;
  std::string system_file;      ///< Of the system's settings; empty: /etc/resolv.conf.
  std::uint16_t system_port = 0;  ///< Of the servers in it; 0: 53.
};

class resolver {
public:
  static constexpr std::size_t most_kept = 1024;

  /// Who asks. Destroying it is not to want the answer any more.
  class query {
  public:
    query() = default;
    query(const query&) = delete;
    query& operator=(const query&) = delete;
    virtual ~query() { cancel(); }

    /// One of them is empty. Their port is 0. Never called from within start().
    virtual void on_resolved(std::span<const address> addresses, std::string_view error) noexcept = 0;
    void cancel() noexcept;
    [[nodiscard]] bool is_pending() const noexcept { return lookup_ != nullptr; }

  private:
    friend class resolver;
    struct time_limit final : timer {
      query* self = nullptr;
      void on_timer() noexcept override {
        if (self != nullptr) self->on_timeout();
      }
    };
    void on_timeout() noexcept;
    lookup* lookup_ = nullptr;
    time_limit limit_;
  };

  resolver(event_loop& loop, resolver_settings settings);
  ~resolver();
  resolver(const resolver&) = delete;
  resolver& operator=(const resolver&) = delete;

  /// Whether `name` is known already; else start() one.
  /// With each call the addresses of a family take turns.
  [[nodiscard]] std::span<const address> known(const std::string& name);
  /// @param timeout_ms  0: c-ares's own.
  void start(const std::string& name, query& asking, std::int64_t timeout_ms);

private:
  friend struct net::lookup;
  struct watched;
  struct next_try final : timer {
    resolver* self = nullptr;
    void on_timer() noexcept override;
  };
  struct kept {
    std::vector<address> addresses;
    std::int64_t until_ms = 0;
  };

  static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
  static void on_answer(void* asked, int status, int timeouts, ares_addrinfo* result);
  void open();
  void set_timer() noexcept;
  void keep(const std::string& name, std::vector<address> addresses, int ttl);

  event_loop& loop_;
  resolver_settings settings_;
  ares_channel channel_ = nullptr;
  std::int64_t changed_at_ = 0;     ///< The modification time of the system's file when it was read.
  next_try next_try_;
  std::unordered_map<ares_socket_t, std::unique_ptr<watched>> sockets_;
  std::unordered_map<std::string, std::unique_ptr<lookup>> lookups_;
  std::unordered_map<std::string, kept> kept_;
};

/// The resolvers of a shard: one for each set of servers.
class resolvers {
public:
  explicit resolvers(event_loop& loop) : loop_(loop) {}
  resolver& get(const resolver_settings& settings);

private:
  event_loop& loop_;
  std::unordered_map<std::string, std::unique_ptr<resolver>> all_;
};

}  // namespace troupe::net
