// SPDX-License-Identifier: Apache-2.0
//
// Which location of a server a path belongs to, by nginx's rules: an exact one; else the longest
// prefix, then the locations nested in it; else, unless that prefix says `^~`, the first regular
// expression of the level in the order of the file, and the locations nested in that.
//
// It is compiled once from the locations of a server and then only read. It knows locations by the
// numbers that its maker gave them, and regular expressions too: whoever asks runs these, and so
// decides on their engine and keeps their captures.
//
// Source   https://nginx.org/en/docs/http/ngx_http_core_module.html#location.
// Thread   any: immutable.
// Errors   two locations of a level that are the same.
// Called   by actors/connection, for each exchange and each internal redirect; made by
//          runtime/conf/builder.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::lua {

enum class location_kind : std::uint8_t {
  prefix,        ///< `/a`
  final_prefix,  ///< `^~ /a`: no regular expression is tried after it.
  exact,         ///< `= /a`
  regex,         ///< `~ a`, `~* a`
  named,         ///< `@a`
};

struct location_entry {
  location_kind kind = location_kind::prefix;
  std::string name;            ///< Of a regex: unused.
  std::uint32_t location = 0;  ///< The maker's number for it.
  /// `/a/` is the answer to `/a` too, marked as a redirect (locations that hand on to an upstream).
  bool redirects_to_slash = false;
  std::vector<location_entry> nested;
};

class location_match {
 public:
  static constexpr std::uint32_t none = ~0U;

  struct result {
    std::uint32_t location = none;
    bool add_slash = false;  ///< Redirect to the path with a slash at its end.
  };

  struct duplicate {
    std::uint32_t location;  ///< The second one.
    std::string reason;      ///< `duplicate location "/a"`
  };

  [[nodiscard]] static tl::expected<location_match, duplicate> compile(
      std::span<const location_entry> entries);

  /// @param path       decoded, without arguments.
  /// @param try_regex  bool(std::uint32_t location): whether the path matches that location's
  /// regular
  ///                   expression. The captures of the last one that did are the exchange's.
  template <class TryRegex>
  [[nodiscard]] result find(std::string_view path, TryRegex&& try_regex) const {
    result found;
    find_in(levels_.front(), path, try_regex, found);
    return found;
  }

  /// A named location, with its `@`; or `none`.
  [[nodiscard]] std::uint32_t find_named(std::string_view name) const noexcept;

 private:
  struct target {
    std::uint32_t location = none;
    std::uint32_t level = none;  ///< Of what is nested in it.
    bool is_final = false;
    bool redirects = false;
  };
  /// What begins with one name: sorted in a level by it.
  struct node {
    std::string name;
    target exact, prefix;
    std::uint32_t parent = none;  ///< The longest name that is a prefix location and begins this.
  };
  struct level {
    std::vector<node> nodes;
    std::vector<target> regexes;
    bool has_redirects = false;
  };
  enum class outcome { nothing, prefix, settled };
  struct static_match {
    outcome found = outcome::nothing;
    const target* where = nullptr;
    bool add_slash = false;
  };

  location_match() = default;
  [[nodiscard]] tl::expected<std::uint32_t, duplicate> compile_level(
      std::span<const location_entry> entries);
  [[nodiscard]] static static_match find_static(const level& here, std::string_view path) noexcept;

  /// @return whether the search is over; `found` holds the best location so far in any case.
  template <class TryRegex>
  bool find_in(const level& here, std::string_view path, TryRegex& try_regex, result& found) const {
    const auto match = find_static(here, path);
    if (match.where != nullptr) found = {match.where->location, match.add_slash};
    if (match.found == outcome::settled) return true;
    if (match.found == outcome::prefix && match.where->level != none &&
        find_in(levels_[match.where->level], path, try_regex, found))
      return true;
    // `^~` speaks for its own level only: nested in another prefix, it leaves the regular
    // expressions of the levels above to be tried.
    if (match.found == outcome::prefix && match.where->is_final) return false;
    for (const auto& each : here.regexes) {
      if (!try_regex(each.location)) continue;
      found = {each.location, false};
      if (each.level != none) find_in(levels_[each.level], path, try_regex, found);
      return true;
    }
    return false;
  }

  std::vector<level> levels_;
  std::vector<std::pair<std::string, std::uint32_t>> named_;
};

}  // namespace troupe::lua
