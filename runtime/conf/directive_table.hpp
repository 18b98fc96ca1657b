// SPDX-License-Identifier: Apache-2.0
//
// The table of directives: all that is known of each before its meaning. A row says where the
// directive may stand, what arguments and body it takes, how it merges down, and in one line what
// it is for; checking a configuration, its error texts, `troupe check` and docs/directives.md all
// follow from the rows. A new directive is one row and one apply function in a file of directives/.
//
// A name may have several rows, told apart by their contexts (`server` in http and in upstream).
//
// Source   the ngx_command_t tables of nginx's modules; its texts, as of 1.22.
// Thread   any: immutable after construction.
// Memory   rows and their texts are constants that outlive the table.
// Called   made by runtime/node.cpp from the modules in runtime/conf/directives; used by
//          runtime/conf/builder.cpp and the commands.
#pragma once

#include "runtime/conf/parser.hpp"
#include "troupe/diagnostic.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::conf {

class builder;

/// Bits, for a row may allow several.
using context_set = std::uint32_t;
namespace context {
inline constexpr context_set main = 1U << 0, events = 1U << 1, http = 1U << 2, server = 1U << 3,
                             location = 1U << 4, if_in_server = 1U << 5, if_in_location = 1U << 6,
                             limit_except = 1U << 7, upstream = 1U << 8, stream = 1U << 9,
                             stream_server = 1U << 10, stream_upstream = 1U << 11;
inline constexpr context_set anywhere = ~0U;
}  // namespace context

/// How many arguments: bits, or one of the kinds below them.
using argument_rule = std::uint32_t;
namespace takes {
inline constexpr argument_rule none = 1U << 0, one = 1U << 1, two = 1U << 2, three = 1U << 3,
                               four = 1U << 4, five = 1U << 5, six = 1U << 6, seven = 1U << 7;
inline constexpr argument_rule flag = 1U << 8;         ///< One, `on` or `off`.
inline constexpr argument_rule one_or_more = 1U << 9;  ///< Without limit.
inline constexpr argument_rule two_or_more = 1U << 10;
inline constexpr argument_rule any = 1U << 11;
}  // namespace takes

enum class body_kind : std::uint8_t {
  none,   ///< Ends with `;`.
  block,  ///< Directives, of context `opens`.
  pairs,  ///< Lines of its own, as in `types` and `map`: children without blocks, not looked up.
  lua,    ///< Lua code.
};

/// What an inner block does with the values of the outer one.
enum class merging : std::uint8_t {
  none,     ///< Has no value to merge, or is allowed in one context only.
  inherit,  ///< A value is taken over unless the inner block has its own.
  replace,  ///< A list is taken over whole unless the inner block has one line of it.
  append,   ///< Inner lines are added to the outer ones.
};

struct directive_row {
  std::string_view name;
  context_set contexts = 0;
  argument_rule arguments = takes::one;
  std::string_view syntax;    ///< For people, what follows the name: "size", "on | off".
  std::string_view standard;  ///< The default as one would write it; empty: there is none.
  merging merge = merging::inherit;
  std::string_view help;  ///< One sentence.
  void (*apply)(builder&, const directive&) = nullptr;
  bool once = false;  ///< A second one in a block is an error.
  std::string_view
      group;  ///< With `once`: rows that count as one, `rewrite_by_lua` in its 3 forms.
  body_kind body = body_kind::none;
  context_set opens = 0;  ///< The context of the children of a `block`.
};

/// One module of nginx or of troupe: a file of directives/, a chapter of the reference.
struct directive_module {
  std::string_view name;  ///< "ngx_http_core_module"
  std::string_view help;
  std::span<const directive_row> rows;
};

class directive_table {
 public:
  explicit directive_table(std::span<const directive_module> modules);

  /// The row of `name` for a directive in `where`, a single context; null: unknown or not allowed.
  [[nodiscard]] const directive_row* find(std::string_view name, context_set where) const noexcept;
  [[nodiscard]] bool knows(std::string_view name) const noexcept { return rows_.contains(name); }

  /// All that is wrong with a tree as far as the rows can tell, in the order of the text.
  [[nodiscard]] diagnostics check(const std::vector<directive>& tree,
                                  context_set where = context::main) const;

  /// Up to three known names that `name` may have been meant to be, the nearest first; those
  /// allowed in `where` come before others.
  [[nodiscard]] std::vector<std::string_view> nearest(std::string_view name,
                                                      context_set where) const;

  [[nodiscard]] std::span<const directive_module> modules() const noexcept { return modules_; }

 private:
  void check_block(const std::vector<directive>& block, context_set where,
                   diagnostics& found) const;
  void check_one(const directive& entry, context_set where, diagnostics& found) const;

  std::vector<directive_module> modules_;
  std::unordered_map<std::string_view, std::vector<const directive_row*>> rows_;
};

}  // namespace troupe::conf
