// SPDX-License-Identifier: Apache-2.0
#include "cluster/member_calls.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {

namespace {

constexpr std::chrono::seconds for_the_link{4};
constexpr std::chrono::seconds to_be_sent{1};
constexpr std::size_t at_once = 16;

}  // namespace

void member_calls::call(const upper_address& whom, const message& proof, instant now) {
  const bool is_called =
      std::any_of(calls_.begin(), calls_.end(), [&](const auto& one) { return one->whom == whom; });
  if (is_called || calls_.size() >= at_once) return;
  auto made = std::make_unique<one_call>();
  made->whom = whom;
  made->proof = proof;
  made->ends = now + for_the_link;
  one_call* its = made.get();
  made->link = std::make_unique<upper_socket>(context_, upper_socket::options{.keys = keys_},
                                              upper_socket::handlers{
                                                  .on_link =
                                                      [its](bool up, instant at) {
                                                        if (!up || its->said) return;
                                                        its->said = true;
                                                        its->ends = at + to_be_sent;
                                                        its->link->send(its->proof);
                                                      },
                                              });
  made->link->addresses({whom}, now);
  calls_.push_back(std::move(made));
}

void member_calls::handles(std::vector<void*>& to) const {
  for (const auto& one : calls_) one->link->handles(to);
}

void member_calls::pump(instant now) {
  for (const auto& one : calls_) one->link->pump(now);
  std::erase_if(calls_, [now](const auto& one) { return one->ends <= now; });
}

member_calls::instant member_calls::next_tick() const {
  instant first = instant::max();
  for (const auto& one : calls_) first = std::min({first, one->ends, one->link->next_tick()});
  return first;
}

}  // namespace troupe::cluster
