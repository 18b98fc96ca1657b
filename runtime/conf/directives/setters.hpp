// SPDX-License-Identifier: Apache-2.0
//
// Functions that rows share: they put one value into one member of location_settings.
#pragma once

#include "runtime/conf/builder.hpp"
#include "runtime/conf/values.hpp"

namespace troupe::conf {

template <auto Member>
void set_flag(builder& b, const directive& d) {
  if (auto value = parse_flag(d.name, d.args[0])) b.here().settings.*Member = *value;
  else b.fail(d, value.error());
}

template <auto Member>
void set_size(builder& b, const directive& d) {
  using type = std::remove_reference_t<decltype(b.here().settings.*Member)>;
  if (auto value = parse_size(d.name, d.args[0])) b.here().settings.*Member = static_cast<type>(*value);
  else b.fail(d, value.error());
}

template <auto Member>
void set_time(builder& b, const directive& d) {
  if (auto value = parse_time(d.name, d.args[0])) b.here().settings.*Member = value->count();
  else b.fail(d, value.error());
}

template <auto Member>
void set_number(builder& b, const directive& d) {
  using type = std::remove_reference_t<decltype(b.here().settings.*Member)>;
  if (auto value = parse_number(d.name, d.args[0])) b.here().settings.*Member = static_cast<type>(*value);
  else b.fail(d, value.error());
}

/// Read and checked, without an effect here: what has no meaning for actors on shards.
inline void accept(builder&, const directive&) {}

inline constexpr context_set http_server_location = context::http | context::server | context::location;
inline constexpr context_set http_server_location_if = http_server_location | context::if_in_location;

}  // namespace troupe::conf
