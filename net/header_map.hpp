// SPDX-License-Identifier: Apache-2.0
//
// The fields of a message head in the order of the wire. Names and values are views: into the
// connection's read buffer, or into the arena of the exchange for what was set later.
//
// Source   RFC 9110 section 5; names compare without case.
// Thread   shard.
// Memory   the vector is kept between exchanges, so a steady state allocates nothing.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace troupe::net {

/// Compares ASCII without case.
bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;

struct header_field {
  std::string_view name;
  std::string_view value;
};

class header_map {
public:
  using container = std::vector<header_field>;

  [[nodiscard]] const header_field* find(std::string_view name) const noexcept;
  [[nodiscard]] std::string_view value(std::string_view name) const noexcept;  ///< "" if absent.

  void add(std::string_view name, std::string_view value) { fields_.push_back({name, value}); }
  /// Replaces every field of this name by one, in the place of the first.
  void set(std::string_view name, std::string_view value);
  std::size_t remove(std::string_view name) noexcept;
  void clear() noexcept { fields_.clear(); }

  [[nodiscard]] container::const_iterator begin() const noexcept { return fields_.begin(); }
  [[nodiscard]] container::const_iterator end() const noexcept { return fields_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
  [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }
  container& fields() noexcept { return fields_; }

private:
  container fields_;
};

}  // namespace troupe::net
