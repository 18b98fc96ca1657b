// SPDX-License-Identifier: Apache-2.0
//
// Which new connections are worth a handshake (half a millisecond of the I/O thread): each has to
// prove itself, by a first message that its key may send; an address that opens many that do not is
// cut off before the handshake, and near the limit of descriptors so is everybody new.
//
// An address that goes on while it is cut off is not heard at all for a second.
//
// What a connection costs comes back when it proves itself, so that a thousand nodes of one address
// may join at once; one that ends without costs ten times as much.
//
// At the limit itself libzmq would ask for the waiting connection again and again: some spare
// descriptors are let go then, so that it can be taken and cut.
//
// Source   docs/cluster.md, "Security".
// Thread   cluster.
// Errors   none; what it does is counted and logged at a bounded rate.
// Called   by cluster/lower_sockets.
#pragma once

#include "cluster/bounded_log.hpp"
#include "cluster/file_descriptor.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::cluster {

class gate {
 public:
  using instant = std::chrono::steady_clock::time_point;

  struct options {
    std::size_t unproven_per_address = 2'500;
    std::size_t unproven_in_all = 5'000;
    double burst_per_address = 4'000;  ///< Connections, or a tenth as many that prove nothing.
    double rate_per_address = 100;     ///< A second.
    double burst_in_all = 10'000;
    double rate_in_all = 1'500;
    std::size_t descriptors = 0;  ///< The process's limit; 0: as it is.
    std::size_t spare_descriptors = 16;
    log_function log;
    /// Tests: the peer's address, and how a connection is cut.
    std::function<std::string(int)> address_of;
    std::function<void(int)> cut;
    /// All those that are not to be heard for now; none: everybody is.
    std::function<void(const std::vector<std::string>&)> hear_nothing_from;
  };
  explicit gate(options how);

  /// As the socket's monitor told, before the handshake.
  void on_accepted(int descriptor, instant now);
  void on_closed(int descriptor, instant now);
  /// The process has no descriptor left.
  void on_accept_failed(instant now);
  /// A message has come by it that its sender may send.
  void proven(int descriptor, instant now);

  void tick(instant now);
  [[nodiscard]] instant next_tick() const noexcept;

  [[nodiscard]] std::uint64_t cut_in_all() const noexcept { return cut_; }
  [[nodiscard]] std::size_t unproven() const noexcept { return unproven_; }
  [[nodiscard]] std::size_t open() const noexcept { return connections_.size(); }
  /// Addresses that are remembered; bounded.
  [[nodiscard]] std::size_t addresses() const noexcept { return addresses_.size(); }

 private:
  struct bucket {
    double tokens = 0;
    instant filled{};
    std::size_t unproven = 0;
    std::size_t open = 0;
    std::size_t cut_in_a_row = 0;
  };
  struct connection {
    std::string address;
    bool is_proven = false;
  };
  void refill(bucket& one, double rate, double burst, instant now) const;
  void refuse(int descriptor, const std::string& address, std::string_view why, instant now);
  void close_ears(const std::string& address, instant now);
  void open_ears(instant now);
  void forget_calm_addresses(instant now);
  void take_spares();

  options how_;
  bounded_log log_;
  std::unordered_map<int, connection> connections_;
  std::unordered_map<std::string, bucket> addresses_;
  std::map<std::string, instant> unheard_;  ///< Until when.
  bucket all_;
  std::size_t unproven_ = 0;
  std::uint64_t cut_ = 0;
  std::vector<file_descriptor> spares_;
  std::optional<instant> take_spares_at_;
};

/// The address of a connection's peer as text, IPv6 without its lower half (one customer's
/// network); empty if it is gone.
[[nodiscard]] std::string peer_address_of(int descriptor);

}  // namespace troupe::cluster
