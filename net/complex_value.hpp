// SPDX-License-Identifier: Apache-2.0
//
// A parameter of the configuration that may hold variables: "/x/$arg_a${uri}$1", compiled once.
//
// Source   "Complex values" of nginx's development guide.
// Thread   compiled on the loader's thread, then constant; evaluated on the exchange's shard.
// Errors   compile: nginx's texts, as `unknown "foo" variable` and `invalid variable name`.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "net/variables.hpp"

namespace troupe::net {

class complex_value {
public:
  static tl::expected<complex_value, std::string> compile(std::string_view text,
                                                          variable_table& variables);
  /// A text without variables.
  static complex_value constant(std::string text);

  [[nodiscard]] bool is_constant() const noexcept { return parts_.empty(); }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }  ///< As written.
  /// The value; lives as long as the exchange, or as this for constants.
  [[nodiscard]] std::string_view evaluate(exchange& x, const variable_table& variables) const;

private:
  struct part {
    std::string literal;
    variable_index variable = -1;
    int capture = -1;
  };
  std::string text_;
  std::vector<part> parts_;  ///< Empty for constants.
};

}  // namespace troupe::net
