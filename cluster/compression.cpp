// SPDX-License-Identifier: Apache-2.0
#include "cluster/compression.hpp"

#include <zstd.h>

#include <memory>

namespace troupe::cluster {
namespace {

/// Lua and HTML: level 3 costs twice the time of 1 and saves a tenth.
constexpr int level = 1;

struct free_context {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

/// Kept, since to make one and touch its memory takes longer than the few kilobytes of a file.
template <class Context>
Context* kept_context(Context* (*make)()) {
  thread_local const std::unique_ptr<Context, free_context> kept(make());
  return kept.get();
}

tl::unexpected<refusal> malformed(std::string reason) {
  return tl::unexpected(refusal{.errc = refusal_errc::malformed, .reason = std::move(reason)});
}

}  // namespace

std::uint64_t compressed_bound(std::uint64_t content_bytes) noexcept {
  return ZSTD_compressBound(content_bytes);
}

std::string compress(std::string_view content) {
  std::string result(ZSTD_compressBound(content.size()), '\0');
  const std::size_t bytes =
      ZSTD_compressCCtx(kept_context(ZSTD_createCCtx), result.data(), result.size(), content.data(),
                        content.size(), level);
  // It fails only for want of room, and there is the room that it says is enough.
  result.resize(ZSTD_isError(bytes) != 0 ? 0 : bytes);
  return result;
}

tl::expected<std::string, refusal> decompress(std::string_view frame, std::uint64_t max_bytes) {
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
    return malformed("this is no zstd frame that says how long its content is");
  }
  if (size > max_bytes) {
    return tl::unexpected(refusal{.errc = refusal_errc::too_large,
                                  .reason = "a zstd frame has a content of " +
                                            std::to_string(size) + " bytes, at most " +
                                            std::to_string(max_bytes) + " were expected"});
  }
  // One frame and no more; what claims to be long and is short is not allocated for long.
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) {
    return malformed("these bytes are not one whole zstd frame");
  }
  std::string result(size, '\0');
  const std::size_t bytes = ZSTD_decompressDCtx(kept_context(ZSTD_createDCtx), result.data(), size,
                                                frame.data(), frame.size());
  if (ZSTD_isError(bytes) != 0 || bytes != size) {
    return malformed(std::string("a zstd frame is damaged: ") + ZSTD_getErrorName(bytes));
  }
  return result;
}

}  // namespace troupe::cluster
