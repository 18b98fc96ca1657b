// SPDX-License-Identifier: Apache-2.0
#include "cluster/gate.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace troupe::cluster {

namespace {

constexpr std::size_t max_addresses = 16'384;
constexpr std::size_t max_unheard = 256;
constexpr std::chrono::seconds unheard_for{1};
/// An address is cut so often before it is not heard.
constexpr std::size_t cuts_before = 10;
constexpr double price_of_nothing = 9;  // beside the one for the connection itself

std::size_t descriptor_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1'024;
}

}  // namespace

std::string peer_address_of(int descriptor) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return {};
  char text[INET6_ADDRSTRLEN] = {};
  if (peer.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&peer)->sin_addr, text, sizeof text);
  } else if (peer.ss_family == AF_INET6) {
    in6_addr address = reinterpret_cast<sockaddr_in6*>(&peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
      inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof text);
    } else {
      std::memset(&address.s6_addr[8], 0, 8);
      inet_ntop(AF_INET6, &address, text, sizeof text);
    }
  }
  return text;
}

gate::gate(options how) : how_(std::move(how)), log_(how_.log, log_level::warn) {
  if (how_.descriptors == 0) how_.descriptors = descriptor_limit();
  if (!how_.address_of) how_.address_of = peer_address_of;
  if (!how_.cut) how_.cut = [](int descriptor) { shutdown(descriptor, SHUT_RDWR); };
  all_.tokens = how_.burst_in_all;
  take_spares();
}

void gate::take_spares() {
  while (spares_.size() < how_.spare_descriptors) {
    file_descriptor spare(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!spare.is_open()) return;
    spares_.push_back(std::move(spare));
  }
}

void gate::refill(bucket& one, double rate, double burst, instant now) const {
  if (one.filled != instant{} && now > one.filled) {
    const double seconds = std::chrono::duration<double>(now - one.filled).count();
    one.tokens = std::min(burst, one.tokens + seconds * rate);
  }
  one.filled = now;
}

void gate::refuse(int descriptor, const std::string& address, std::string_view why, instant now) {
  ++cut_;
  how_.cut(descriptor);
  log_.line("connection from " + address + " cut: " + std::string(why), now);
}

void gate::on_accepted(int descriptor, instant now) {
  // A number that is still known is used again: the end of the one before comes late or not at all.
  on_closed(descriptor, now);
  const std::string address = how_.address_of(descriptor);
  // New descriptors get the lowest free number, so a high one says how many are in use.
  const bool is_near = static_cast<std::size_t>(descriptor) >= how_.descriptors / 10 * 9;
  if (is_near || take_spares_at_) {
    refuse(descriptor, address, "nine tenths of the descriptors are in use", now);
    return;
  }
  if (address.empty()) return;  // gone already
  if (addresses_.size() >= max_addresses) forget_calm_addresses(now);
  const auto [at, is_new] = addresses_.try_emplace(address);
  bucket& its = at->second;
  if (is_new) its.tokens = how_.burst_per_address;
  refill(its, how_.rate_per_address, how_.burst_per_address, now);
  refill(all_, how_.rate_in_all, how_.burst_in_all, now);
  if (its.unproven >= how_.unproven_per_address || its.tokens < 1) {
    refuse(descriptor, address, "too many from this address that prove nothing", now);
    if (its.tokens < 1 && ++its.cut_in_a_row >= cuts_before) close_ears(address, now);
    return;
  }
  if (unproven_ >= how_.unproven_in_all || all_.tokens < 1) {
    refuse(descriptor, address, "too many at once that have proven nothing yet", now);
    return;
  }
  its.cut_in_a_row = 0;
  its.tokens -= 1;
  all_.tokens -= 1;
  ++its.unproven;
  ++its.open;
  ++unproven_;
  connections_.emplace(descriptor, connection{.address = address});
}

void gate::on_closed(int descriptor, instant now) {
  const auto found = connections_.find(descriptor);
  if (found == connections_.end()) return;
  bucket& its = addresses_[found->second.address];
  --its.open;
  if (!found->second.is_proven) {
    --its.unproven;
    --unproven_;
    refill(its, how_.rate_per_address, how_.burst_per_address, now);
    its.tokens -= price_of_nothing;
    // No deeper than it climbs out of within seconds.
    its.tokens = std::max(its.tokens, -3 * how_.rate_per_address);
  }
  connections_.erase(found);
}

void gate::proven(int descriptor, instant now) {
  const auto found = connections_.find(descriptor);
  if (found == connections_.end() || found->second.is_proven) return;
  found->second.is_proven = true;
  bucket& its = addresses_[found->second.address];
  --its.unproven;
  --unproven_;
  refill(its, how_.rate_per_address, how_.burst_per_address, now);
  its.tokens = std::min(its.tokens + 1, how_.burst_per_address);
  all_.tokens = std::min(all_.tokens + 1, how_.burst_in_all);
}

void gate::close_ears(const std::string& address, instant now) {
  if (!how_.hear_nothing_from || unheard_.size() >= max_unheard) return;
  if (!unheard_.emplace(address, now + unheard_for).second) return;
  std::vector<std::string> all;
  for (const auto& [name, until] : unheard_) all.push_back(name);
  how_.hear_nothing_from(all);
}

void gate::open_ears(instant now) {
  if (std::erase_if(unheard_, [now](const auto& one) { return one.second <= now; }) == 0) return;
  std::vector<std::string> all;
  for (const auto& [name, until] : unheard_) all.push_back(name);
  how_.hear_nothing_from(all);
}

void gate::on_accept_failed(instant now) {
  if (!spares_.empty()) {
    log_.line("no descriptor is left: new connections are cut", now);
    spares_.clear();
  }
  take_spares_at_ = now + std::chrono::milliseconds(50);
}

void gate::tick(instant now) {
  open_ears(now);
  if (take_spares_at_ && now >= *take_spares_at_) {
    take_spares_at_.reset();
    take_spares();
    if (spares_.size() < how_.spare_descriptors) {
      take_spares_at_ = now + std::chrono::milliseconds(50);
    }
  }
}

gate::instant gate::next_tick() const noexcept {
  instant first = take_spares_at_.value_or(instant::max());
  for (const auto& [address, until] : unheard_) first = std::min(first, until);
  return first;
}

void gate::forget_calm_addresses(instant now) {
  for (auto at = addresses_.begin(); at != addresses_.end();) {
    refill(at->second, how_.rate_per_address, how_.burst_per_address, now);
    const bool is_calm = at->second.open == 0 && at->second.tokens >= how_.burst_per_address;
    at = is_calm ? addresses_.erase(at) : std::next(at);
  }
  // Still full of strangers: the oldest debts are forgiven, the limit in all holds.
  for (auto at = addresses_.begin();
       addresses_.size() >= max_addresses && at != addresses_.end();) {
    at = at->second.open == 0 ? addresses_.erase(at) : std::next(at);
  }
}

}  // namespace troupe::cluster
