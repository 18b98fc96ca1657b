// SPDX-License-Identifier: Apache-2.0
//
// msgpack of strangers, within bounds: unpacked without exceptions, bytes left where they lie.
//
// Source   msgpack's specification.
// Thread   any; a value.
// Called   by cluster/manifest.cpp, cluster/bundle.cpp.
#pragma once

#include <msgpack.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>

namespace troupe::cluster {

/// The one object that the bytes are; its strings and bins are views into them. None: not msgpack,
/// more than one object, deeper than `depth`, or an array that claims more than `max_items` or more
/// than the bytes can hold.
inline std::optional<msgpack::object_handle> unpack(std::string_view bytes, std::size_t max_items,
                                                    std::size_t depth) noexcept {
  try {
    // An array is allocated as long as it claims to be: each item takes a byte at least.
    const std::size_t items = std::min(max_items, bytes.size());
    std::size_t end = 0;
    auto refer = [](msgpack::type::object_type, std::size_t, void*) { return true; };
    msgpack::object_handle result =
        msgpack::unpack(bytes.data(), bytes.size(), end, refer, nullptr,
                        msgpack::unpack_limit(items, 16, bytes.size(), bytes.size(), 0, depth));
    if (end != bytes.size()) return std::nullopt;
    return result;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

inline std::optional<std::string_view> as_bytes(const msgpack::object& o) noexcept {
  if (o.type != msgpack::type::BIN) return std::nullopt;
  return std::string_view(o.via.bin.ptr, o.via.bin.size);
}

inline std::optional<std::string_view> as_text(const msgpack::object& o) noexcept {
  if (o.type != msgpack::type::STR) return std::nullopt;
  return std::string_view(o.via.str.ptr, o.via.str.size);
}

/// The value of a map's i-th pair if its key is this one.
inline const msgpack::object* member(const msgpack::object& map, std::uint32_t i,
                                     std::string_view key) noexcept {
  if (map.type != msgpack::type::MAP || i >= map.via.map.size) return nullptr;
  const auto& pair = map.via.map.ptr[i];
  return as_text(pair.key) == key ? &pair.val : nullptr;
}

}  // namespace troupe::cluster
