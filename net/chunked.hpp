// SPDX-License-Identifier: Apache-2.0
//
// Chunked bodies: a decoder that takes them in whatever pieces they arrive, and the encoder's chunk
// head.
//
// Source   RFC 9112 section 7.1. Strict: lines end in CRLF and nothing else, sizes are hex digits
//          without space before or sign; extensions and trailers are bounded (16 KiB beyond the
//          data that came with them) and dropped.
// Thread   any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe::net {

class chunked_decoder {
 public:
  enum class status : std::uint8_t { need_more, done, failed };

  /// Takes bytes off the front of `in`. What of the body it finds is handed out piece by piece: one
  /// call gives at most one piece, so call again until `in` is empty or the status is not
  /// need_more.
  /// @return status; `piece` is a view into `in`, empty if there was none.
  status decode(std::string_view& in, std::string_view& piece) noexcept;

  void reset() noexcept { *this = {}; }

 private:
  enum class state : std::uint8_t {
    size_start,
    size,
    size_space,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
    done,
    failed,
  };
  state state_ = state::size_start;
  std::uint64_t left_ = 0;
  std::int64_t overhead_ = 0;  ///< Bytes of extensions beyond those of data, or of trailers.
  std::uint8_t digits_ = 0;
};

/// Writes "12ab\r\n" into `to` (at least 18 bytes); returns its length.
std::size_t write_chunk_head(char* to, std::size_t size) noexcept;

}  // namespace troupe::net
