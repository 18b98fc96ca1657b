// SPDX-License-Identifier: Apache-2.0
#include "cluster/address_filter.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <sys/socket.h>

namespace troupe::cluster {
namespace {

// Where the sender's address begins in the network header.
constexpr std::uint32_t ip4_source = static_cast<std::uint32_t>(SKF_NET_OFF) + 12;
constexpr std::uint32_t ip6_source = static_cast<std::uint32_t>(SKF_NET_OFF) + 8;

std::uint32_t word_of(const unsigned char* bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return ntohl(word);
}

}  // namespace

bool hear_nothing_from(int listener, const std::vector<std::string>& addresses) {
  if (addresses.empty()) {
    const int none = 0;
    return setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none) == 0;
  }
  constexpr std::uint16_t load = BPF_LD | BPF_W | BPF_ABS;
  constexpr std::uint16_t equal = BPF_JMP | BPF_JEQ | BPF_K;
  const sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_filter pass = BPF_STMT(BPF_RET | BPF_K, 0xffff'ffff);
  std::vector<sock_filter> ip4{BPF_STMT(load, ip4_source)};
  std::vector<sock_filter> ip6;
  const std::size_t count = std::min(addresses.size(), max_filtered_addresses);
  for (std::size_t i = 0; i < count; ++i) {
    unsigned char bytes[sizeof(in6_addr)] = {};
    if (inet_pton(AF_INET, addresses[i].c_str(), bytes) == 1) {
      ip4.insert(ip4.end(), {BPF_JUMP(equal, word_of(bytes), 0, 1), drop});
    } else if (inet_pton(AF_INET6, addresses[i].c_str(), bytes) == 1) {
      ip6.insert(ip6.end(),
                 {BPF_STMT(load, ip6_source), BPF_JUMP(equal, word_of(bytes), 0, 3),
                  BPF_STMT(load, ip6_source + 4), BPF_JUMP(equal, word_of(bytes + 4), 0, 1), drop});
    }
  }
  ip4.push_back(pass);
  ip6.push_back(pass);
  std::vector<sock_filter> program{
      BPF_STMT(load, static_cast<std::uint32_t>(SKF_AD_OFF) + SKF_AD_PROTOCOL),
      BPF_JUMP(equal, ETH_P_IP, 1, 0),
      // A jump that depends on something is not long enough for the list behind it.
      BPF_STMT(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(ip4.size()))};
  program.insert(program.end(), ip4.begin(), ip4.end());
  program.insert(program.end(), ip6.begin(), ip6.end());
  sock_fprog given{};
  given.len = static_cast<unsigned short>(program.size());
  given.filter = program.data();
  return setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &given, sizeof given) == 0;
}

}  // namespace troupe::cluster
