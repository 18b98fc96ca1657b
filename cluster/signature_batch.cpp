// SPDX-License-Identifier: Apache-2.0
#include "cluster/signature_batch.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace troupe::cluster {
namespace {

constexpr std::size_t worth_it = 32;
constexpr unsigned max_threads = 4;

}  // namespace

std::size_t count_genuine(const std::vector<change>& list, bool has_keys) {
  if (!has_keys || list.size() < worth_it) return 0;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> first_bad{list.size()};
  const auto check = [&] {
    for (std::size_t i = next++; i < first_bad; i = next++) {
      if (list[i].ordered.is_genuine()) continue;
      std::size_t known = first_bad;
      while (i < known && !first_bad.compare_exchange_weak(known, i)) {
      }
    }
  };
  std::vector<std::thread> others;
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1u, max_threads);
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(check);
  check();
  for (std::thread& one : others) one.join();
  return first_bad;
}

}  // namespace troupe::cluster
