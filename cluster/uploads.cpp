// SPDX-License-Identifier: Apache-2.0
#include "cluster/uploads.hpp"

#include "cluster/compression.hpp"

namespace troupe::cluster {

put_answer uploads::take(const peer_id& from, const put_blob& piece) {
  put_answer answer{piece.ask, piece.name, {}};
  if (blobs_.keeps(piece.name)) return answer;
  const key name{from, piece.name};
  auto found = begun_.find(name);
  if (piece.offset == 0 && found != begun_.end()) {
    bytes_ -= found->second.size();
    found->second.clear();
  }
  const std::size_t have = found != begun_.end() ? found->second.size() : 0;
  if (piece.offset != have) {
    answer.problem = "piece at " + std::to_string(piece.offset) + " of a content of which " +
                     std::to_string(have) + " bytes came";
    return answer;
  }
  if (piece.total > compressed_bound(max_content_bytes) || have > piece.total ||
      piece.bytes.size() > piece.total - have || piece.bytes.empty()) {
    answer.problem = "a content's pieces do not fit its size";
    return answer;
  }
  if (have + piece.bytes.size() == piece.total) {
    // Most come in one piece and are not kept here at all.
    std::string whole = found != begun_.end() ? std::move(found->second) : std::string();
    if (found != begun_.end()) {
      bytes_ -= have;
      begun_.erase(found);
    }
    whole += piece.bytes;
    auto content = decompress(whole, max_content_bytes);
    if (!content) {
      answer.problem = content.error().reason;
    } else if (auto put = blobs_.put(piece.name, *content); !put) {
      answer.problem = put.error().reason;
    }
    return answer;
  }
  if (bytes_ + piece.bytes.size() > max_begun_bytes ||
      (found == begun_.end() && begun_.size() >= max_begun)) {
    answer.problem = "too many contents are being sent at once";
    return answer;
  }
  if (found == begun_.end()) found = begun_.try_emplace(name).first;
  found->second += piece.bytes;
  bytes_ += piece.bytes.size();
  return answer;
}

void uploads::forget(const peer_id& from) {
  auto at = begun_.lower_bound(key{from, digest()});
  while (at != begun_.end() && at->first.first == from) {
    bytes_ -= at->second.size();
    at = begun_.erase(at);
  }
}

}  // namespace troupe::cluster
