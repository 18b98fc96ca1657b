// SPDX-License-Identifier: Apache-2.0
#include "runtime/environment.hpp"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>

namespace troupe {
namespace {

using variables = std::map<std::string, std::string>;

/// As the process was started; set once, before there are threads.
std::optional<variables> started_with;

variables all() {
  variables result;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    if (const char* equals = std::strchr(*each, '=')) {
      result.try_emplace(std::string(*each, static_cast<std::size_t>(equals - *each)), equals + 1);
    }
  }
  return result;
}

variables kept(const variables& from, const environment_entries& entries) {
  variables result;
  const auto keep = [&](const std::string& name) {
    if (const auto found = from.find(name); found != from.end()) result.insert(*found);
  };
  for (const char* name : {"TZ", "LUA_PATH", "LUA_CPATH"}) keep(name);
  for (const auto& [name, value] : entries) {
    if (value) {
      result.insert_or_assign(name, *value);
    } else {
      keep(name);
    }
  }
  return result;
}

}  // namespace

void filter_environment(const environment_entries& entries) {
  if (!started_with) started_with = all();
  const variables those = kept(*started_with, entries);
  clearenv();
  for (const auto& [name, value] : those) setenv(name.c_str(), value.c_str(), 1);
}

lua::environment environment_of(const environment_entries& entries) {
  if (started_with) return {kept(*started_with, entries), true};
  lua::environment result;
  for (const auto& [name, value] : entries) {
    if (value) result.values.insert_or_assign(name, *value);
  }
  return result;
}

}  // namespace troupe
