// SPDX-License-Identifier: Apache-2.0
#include "cluster/read_through_blobs.hpp"

#include <algorithm>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto content_wait = 30s;
constexpr auto look_every = 10ms;
constexpr auto sources_every = 500ms;
constexpr std::size_t max_waiting = 10'000;
/// What nobody says the size of.
constexpr std::uint64_t max_content_bytes = 1u << 30;

}  // namespace

read_through_blobs::read_through_blobs(options how, blob_source& blobs)
    : how_(std::move(how)),
      blobs_(blobs),
      served_(blobs),
      fetcher_({.send = how_.ask,
                .next_ask = how_.next_ask,
                .arrived =
                    [this](const digest& name, const tl::expected<void, refusal>& result) {
                      if (!result) failed_.insert(name);
                    }},
               blobs) {}

void read_through_blobs::on_fetch(const peer_id& from, const std::vector<fetch_blob>& asked,
                                  instant now) {
  clock_ = now;
  std::vector<fetch_blob> here;
  for (const fetch_blob& one : asked) {
    if (blobs_.has(one.name) || waiting_ >= max_waiting || !wait_for(from, one, now)) {
      here.push_back(one);
    }
  }
  for (const message& one : served_.answer(here)) how_.answer(from, one);
  if (here.size() < asked.size() && how_.own_first == 0ms) tick(now);
}

bool read_through_blobs::wait_for(const peer_id& from, const fetch_blob& what, instant now) {
  if (wanted_.empty() && !look_for_sources(now)) return false;
  content& wanted = wanted_.try_emplace(what.name, content{{}, now}).first->second;
  // Asked again: the newer question is the one that is answered.
  const auto same = std::find_if(wanted.who.begin(), wanted.who.end(),
                                 [&](const waiting& one) { return one.from == from; });
  if (same != wanted.who.end()) {
    *same = {from, what, now + content_wait};
  } else {
    wanted.who.push_back({from, what, now + content_wait});
    ++waiting_;
  }
  return true;
}

bool read_through_blobs::look_for_sources(instant now) {
  looked_ = now;
  auto found = how_.sources();
  if (found.empty()) return false;
  fetcher_.peers(std::move(found));
  return true;
}

bool read_through_blobs::on_piece(const blob_piece& piece, instant now) {
  clock_ = now;
  if (!fetcher_.on_piece(piece, now)) return false;
  fetcher_.flush();
  serve_arrived();
  return true;
}

void read_through_blobs::serve_arrived() {
  std::map<peer_id, std::vector<fetch_blob>> answered;
  for (auto at = wanted_.begin(); at != wanted_.end();) {
    // One that the node itself fetched, or that came with an announcement, has arrived too.
    if (failed_.erase(at->first) == 0 && !blobs_.has(at->first)) {
      ++at;
      continue;
    }
    fetcher_.forget(at->first);
    for (const waiting& one : at->second.who) answered[one.from].push_back(one.asked);
    waiting_ -= at->second.who.size();
    at = wanted_.erase(at);
  }
  for (const auto& [who, list] : answered) {
    for (const message& one : served_.answer(list)) how_.answer(who, one);
  }
}

void read_through_blobs::drop_late(instant now) {
  for (auto at = wanted_.begin(); at != wanted_.end();) {
    waiting_ -= std::erase_if(at->second.who,
                              [now](const waiting& one) { return one.until <= now; });
    if (!at->second.who.empty()) {
      ++at;
      continue;
    }
    fetcher_.forget(at->first);
    at = wanted_.erase(at);
  }
}

void read_through_blobs::forget(const peer_id& who) {
  for (auto& [name, wanted] : wanted_) {
    waiting_ -= std::erase_if(wanted.who, [&](const waiting& one) { return one.from == who; });
  }
}

void read_through_blobs::tick(instant now) {
  clock_ = now;
  // Those who have it may have come since: a controller that has just taken over is found by few.
  if (!wanted_.empty() && now - looked_ >= sources_every) look_for_sources(now);
  for (const auto& [name, wanted] : wanted_) {
    if (now - wanted.since >= how_.own_first) fetcher_.want(name, max_content_bytes, now);
  }
  fetcher_.tick(now);
  fetcher_.flush();
  serve_arrived();
  drop_late(now);
}

instant read_through_blobs::next_tick() const {
  // What it waits for may come by the node's own follower, which says nothing of it.
  return wanted_.empty() ? fetcher_.next_tick()
                         : std::min(fetcher_.next_tick(), clock_ + look_every);
}

}  // namespace troupe::cluster
