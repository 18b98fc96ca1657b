// SPDX-License-Identifier: Apache-2.0
#include "cluster/blob_server.hpp"

#include "cluster/compression.hpp"

#include <algorithm>

namespace troupe::cluster {

const std::string* blob_server::compressed(const digest& name) {
  if (const auto found = cache_.find(name); found != cache_.end()) {
    by_age_.splice(by_age_.begin(), by_age_, found->second.age);
    return &found->second.bytes;
  }
  if (!blobs_.has(name)) return nullptr;
  const auto content = blobs_.get(name);
  if (!content) return nullptr;
  by_age_.push_front(name);
  cached& fresh = cache_[name];
  fresh.bytes = compress(*content);
  fresh.age = by_age_.begin();
  cached_bytes_ += fresh.bytes.size();
  while (cached_bytes_ > max_cached_bytes && by_age_.size() > 1) {
    const auto oldest = cache_.find(by_age_.back());
    cached_bytes_ -= oldest->second.bytes.size();
    cache_.erase(oldest);
    by_age_.pop_back();
  }
  return &fresh.bytes;
}

blob_piece blob_server::answer(const fetch_blob& asked) {
  blob_piece piece;
  piece.ask = asked.ask;
  piece.name = asked.name;
  piece.offset = asked.offset;
  const std::string* whole = compressed(asked.name);
  if (whole == nullptr || asked.offset > whole->size()) {
    piece.gone = whole == nullptr;
    return piece;
  }
  piece.total = whole->size();
  piece.bytes = whole->substr(asked.offset, blob_piece_bytes);
  return piece;
}

std::vector<message> blob_server::answer(const std::vector<fetch_blob>& asked) {
  std::vector<message> result;
  blob_pieces some;
  std::size_t bytes = 0;
  const auto say = [&] {
    if (some.list.size() == 1) {
      result.emplace_back(std::move(some.list.front()));
    } else if (!some.list.empty()) {
      result.emplace_back(std::move(some));
    }
    some = {};
    bytes = 0;
  };
  for (const fetch_blob& one : asked) {
    blob_piece piece = answer(one);
    if (bytes + piece.bytes.size() > blob_piece_bytes) say();
    bytes += piece.bytes.size();
    some.list.push_back(std::move(piece));
  }
  say();
  return result;
}

}  // namespace troupe::cluster
