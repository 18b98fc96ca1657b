// SPDX-License-Identifier: Apache-2.0
//
// nginx's variables: `$uri`, `$arg_x`, and those that `set` defines. Names are resolved once, when
// the configuration is read; an exchange then reads by index.
//
// Source   https://nginx.org/en/docs/http/ngx_http_core_module.html#variables.
// Thread   the table: built on the loader's thread, then constant. Values: the exchange's shard.
// Memory   values live as long as the exchange.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::net {

class exchange;

/// None: the variable has no value ("not found"), which prints as the empty string.
using variable_value = std::optional<std::string_view>;

struct variable {
  std::string name;  ///< Lower case, without `$`.
  /// Computes the value; null for those that only `set` gives one.
  variable_value (*get)(exchange& x, std::string_view suffix) = nullptr;
  /// Assigns a built-in variable such as $args; null: `set` and Lua write the slot, if changeable.
  void (*assign)(exchange& x, std::string_view value) = nullptr;
  std::string suffix;       ///< What follows the prefix of a family: "x" of $arg_x.
  bool changeable = false;
  int slot = -1;            ///< In exchange.variables; -1: has none.
};

/// How one name is reached: an index into the table. Stable for the life of a site.
using variable_index = int;

class variable_table {
public:
  variable_table();

  /// The variable of this name for reading; makes entries of prefix families as needed.
  /// -1 if there is none.
  variable_index find_or_make(std::string_view name);
  /// Makes `name` assignable (the `set` directive). -1: it exists and is not changeable.
  variable_index define(std::string_view name);
  /// As find_or_make, for a table that is constant: families that nobody named are not found here;
  /// see get_by_name.
  [[nodiscard]] variable_index find(std::string_view name) const;

  [[nodiscard]] const variable& at(variable_index i) const { return variables_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] std::size_t slot_count() const noexcept { return slots_; }

  [[nodiscard]] variable_value get(exchange& x, variable_index i) const;
  /// Any name, also of families: for ngx.var. The name has any case.
  [[nodiscard]] variable_value get_by_name(exchange& x, std::string_view name) const;

  enum class assigned { done, unknown, not_changeable };
  /// None as value: the variable reads as not found from then on. The value is copied.
  assigned set(exchange& x, variable_index i, variable_value value) const;
  assigned set_by_name(exchange& x, std::string_view name, variable_value value) const;

private:
  variable_index add(variable v);
  std::vector<variable> variables_;
  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept {
      return std::hash<std::string_view>()(name);
    }
  };
  std::unordered_map<std::string, variable_index, name_hash, std::equal_to<>> by_name_;
  std::size_t slots_ = 0;
};

}  // namespace troupe::net
