// SPDX-License-Identifier: Apache-2.0
//
// The fields of what goes over the wire or into a signature, in msgpack. A writer and a reader with
// the same members, so that one function a type lists its fields for both ways:
//
//   template <class Wire, like<hello> Hello>
//   void fields(Wire& wire, Hello& h) { wire.number("ask", h.ask); … }
//
// Integers take their shortest form, so the same values have the same bytes.
//
// Source   msgpack's specification; docs/cluster.md, "Messages".
// Thread   any; values.
// Errors   the reader takes bytes of strangers. It never believes a length: each is checked against
//          a limit and against what is left before anything is allocated. After the first mistake
//          all reads give nothing; `problem()` names the field.
// Called   by cluster/order, cluster/change, cluster/messages, cluster/cluster_state.
#pragma once

#include "cluster/digest.hpp"
#include "cluster/position.hpp"
#include "cluster/signing_key.hpp"

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace troupe::cluster {

template <class T, class Of>
concept like = std::same_as<std::remove_const_t<T>, Of>;

class wire_writer {
 public:
  static constexpr bool reads = false;

  void number(std::string_view field, std::uint64_t value, std::uint64_t max = UINT64_MAX);
  void real(std::string_view field, double value);
  void flag(std::string_view field, bool value);
  void text(std::string_view field, std::string_view value, std::size_t max = SIZE_MAX);
  void bytes(std::string_view field, std::string_view value, std::size_t max = SIZE_MAX);
  void name(std::string_view field, const digest& value) { bytes(field, value.raw()); }
  void key(std::string_view field, const public_key& value) { bytes(field, value.raw()); }
  void id(std::string_view field, const std::array<std::uint8_t, 16>& value);
  void time(std::string_view field, std::chrono::sys_time<std::chrono::milliseconds> value);
  void span(std::string_view field, std::chrono::milliseconds value);
  template <class Enum>
  void choice(std::string_view field, Enum value, Enum) {
    number(field, static_cast<std::uint64_t>(value));
  }
  void place(std::string_view field, const position& value);

  template <class Of>
  void record(std::string_view, std::uint32_t count, Of&& fields_of) {
    array(count);
    fields_of();
  }
  template <class T, class Each>
  void list(std::string_view, const std::vector<T>& values, std::size_t, Each&& each) {
    array(static_cast<std::uint32_t>(values.size()));
    for (const T& value : values) each(value);
  }
  /// Nil, or the value.
  template <class T, class Each>
  void optional(std::string_view, const std::optional<T>& value, Each&& each) {
    if (!value) {
      nil();
    } else {
      each(*value);
    }
  }
  template <class Map, class Each>
  void map(std::string_view field, const Map& values, std::size_t, std::size_t, Each&& each) {
    map_head(static_cast<std::uint32_t>(values.size()));
    for (const auto& [key, value] : values) {
      text(field, key);
      each(value);
    }
  }

  void array(std::uint32_t count);
  [[nodiscard]] std::string& result() noexcept { return out_; }

 private:
  void nil();
  void map_head(std::uint32_t count);
  void integer(unsigned char form, std::uint64_t value, unsigned bytes);
  std::string out_;
};

class wire_reader {
 public:
  static constexpr bool reads = true;
  static constexpr std::size_t max_skip_depth = 16;

  /// @param lenient  records may have more fields than are read: a newer minor version.
  explicit wire_reader(std::string_view bytes, bool lenient = false) noexcept
      : left_(bytes), lenient_(lenient) {}

  template <std::unsigned_integral Int>
  void number(std::string_view field, Int& value,
              std::uint64_t max = std::numeric_limits<Int>::max()) {
    value = static_cast<Int>(integer(field, max));
  }
  void real(std::string_view field, double& value);  ///< Finite.
  void flag(std::string_view field, bool& value);
  void text(std::string_view field, std::string& value, std::size_t max = 1024);
  void bytes(std::string_view field, std::string& value, std::size_t max);
  void name(std::string_view field, digest& value);
  void key(std::string_view field, public_key& value);
  void id(std::string_view field, std::array<std::uint8_t, 16>& value);
  void time(std::string_view field, std::chrono::sys_time<std::chrono::milliseconds>& value);
  void span(std::string_view field, std::chrono::milliseconds& value);
  template <class Enum>
  void choice(std::string_view field, Enum& value, Enum last) {
    const std::uint64_t got = integer(field, static_cast<std::uint64_t>(last));
    if (got == 0) fail(field);
    value = static_cast<Enum>(got);
  }
  void place(std::string_view field, position& value);

  template <class Of>
  void record(std::string_view field, std::uint32_t count, Of&& fields_of) {
    const std::uint32_t has = array(field);
    if (has < count || (has > count && !lenient_)) fail(field);
    if (failed()) return;
    fields_of();
    for (std::uint32_t i = count; i < has && !failed(); ++i) skip(field);
  }
  template <class T, class Each>
  void list(std::string_view field, std::vector<T>& values, std::size_t max, Each&& each) {
    const std::uint32_t count = array(field);
    if (count > max) fail(field);
    values.clear();
    for (std::uint32_t i = 0; i < count && !failed(); ++i) each(values.emplace_back());
  }
  template <class T, class Each>
  void optional(std::string_view, std::optional<T>& value, Each&& each) {
    value.reset();
    if (take_nil()) return;
    each(value.emplace());
  }
  /// Keys are in order, none twice.
  template <class Map, class Each>
  void map(std::string_view field, Map& values, std::size_t max, std::size_t max_key, Each&& each) {
    const std::uint32_t count = map_head(field);
    if (count > max) fail(field);
    values.clear();
    for (std::uint32_t i = 0; i < count && !failed(); ++i) {
      std::string key;
      text(field, key, max_key);
      if (!values.empty() && !(values.rbegin()->first < key)) fail(field);
      if (!failed())
        each(
            values.emplace_hint(values.end(), std::move(key), typename Map::mapped_type())->second);
    }
  }

  /// How many there are; no more than bytes are left.
  std::uint32_t array(std::string_view field);
  /// A text that lies in the bytes.
  std::string_view text_view(std::string_view field, std::size_t max);
  void skip(std::string_view field);
  void fail(std::string_view field) noexcept {
    if (problem_.empty()) problem_ = field;
    left_ = {};
  }
  [[nodiscard]] bool failed() const noexcept { return !problem_.empty(); }
  /// The first field that was wrong; empty: none.
  [[nodiscard]] std::string_view problem() const noexcept { return problem_; }
  [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }
  void lenient(bool yes) noexcept { lenient_ = yes; }

 private:
  std::uint64_t integer(std::string_view field, std::uint64_t max);
  std::string_view bytes_view(std::string_view field, std::size_t max);
  std::uint32_t map_head(std::string_view field);
  bool take_nil();
  /// A big-endian number of so many bytes after the first one.
  std::optional<std::uint64_t> after_form(unsigned bytes);
  [[nodiscard]] unsigned char form() const noexcept {
    return static_cast<unsigned char>(left_.front());
  }
  std::string_view take(std::string_view field, std::uint64_t size);

  std::string_view left_;
  std::string_view problem_;
  bool lenient_;
};

}  // namespace troupe::cluster
