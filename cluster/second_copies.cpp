// SPDX-License-Identifier: Apache-2.0
#include "cluster/second_copies.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cluster {
namespace {

/// What was swept, or could not be kept, is sent again once.
constexpr unsigned max_rounds = 3;
/// In a message, which has a limit.
constexpr std::size_t names_at_once = 10'000;
constexpr std::chrono::seconds patience{5};

}  // namespace

// Not the numbers of the peer's own requests, whose answers come over the same link.
second_copies::way::way(lower_links& lower, const peer_id& to)
    : link(lower, to), asks({.patience = patience, .asks_from = 0}, link) {}

void second_copies::make(const std::vector<digest>& names,
                         const std::map<std::string, peer_id>& to, done then, instant now) {
  now_ = now;
  auto made = std::make_shared<job>(job{names, std::move(then), to.size(), {}});
  for (const auto& [name, peer] : to) {
    auto& known = ways_[peer];
    if (!known) known = std::make_unique<way>(lower_, peer);
    look({made, name, peer, 0, 0});
  }
}

void second_copies::look(copy one) {
  way& by = *ways_.at(one.to);
  const std::vector<digest>& all = one.of->names;
  const std::size_t end = std::min(all.size(), one.from + names_at_once);
  by.asks.missing(
      {all.begin() + static_cast<std::ptrdiff_t>(one.from),
       all.begin() + static_cast<std::ptrdiff_t>(end)},
      [this, one, end](tl::expected<std::vector<digest>, refusal> lacking) mutable {
        if (!lacking) return finish(one, lacking.error().reason);
        if (lacking->empty()) {
          if (end == one.of->names.size()) return finish(one, {});
          one.from = end;
          one.round = 0;
          return look(one);
        }
        if (++one.round == max_rounds) return finish(one, "it does not keep what it is sent");
        send(one, std::move(*lacking));
      },
      now_);
}

void second_copies::send(const copy& one, std::vector<digest> lacking) {
  const digest name = lacking.back();
  lacking.pop_back();
  const auto content = blobs_.get(name);
  if (!content) return finish(one, content.error().reason);
  ways_.at(one.to)->asks.put(
      name, *content,
      [this, one, rest = std::move(lacking)](tl::expected<void, refusal> put) mutable {
        if (!put) return finish(one, put.error().reason);
        if (rest.empty()) return look(one);
        send(one, std::move(rest));
      },
      now_);
}

void second_copies::finish(const copy& one, const std::string& problem) {
  job& of = *one.of;
  --of.open;
  if (!problem.empty()) {
    of.problems += (of.problems.empty() ? "" : "; ") + one.name + ": " + problem;
    if (of.open > 0) return;
  }
  // The first that has it, or the last that has not.
  const done then = std::exchange(of.then, nullptr);
  if (!then) return;
  if (problem.empty()) return then({});
  then(tl::unexpected(refusal{
      .errc = refusal_errc::io,
      .reason = "no other controller keeps its contents, so they could be lost with this one: " +
                of.problems}));
}

bool second_copies::on_message(const peer_id& from, const message& what, instant now) {
  now_ = now;
  const auto found = ways_.find(from);
  return found != ways_.end() && found->second->asks.on_message(what, now);
}

void second_copies::tick(instant now) {
  now_ = now;
  for (auto& [peer, one] : ways_) one->asks.tick(now);
  std::erase_if(ways_, [](const auto& one) { return one.second->asks.is_idle(); });
}

instant second_copies::next_tick() const {
  instant first = instant::max();
  for (const auto& [peer, one] : ways_) first = std::min(first, one->asks.next_tick());
  return first;
}

}  // namespace troupe::cluster
