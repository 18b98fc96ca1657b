// SPDX-License-Identifier: Apache-2.0
//
// The rewrite directives of a server or location, `set`, `if`, `rewrite`, `return`, `break` and
// `set_by_lua`, run in the order of the file.
//
// Source   ngx_http_rewrite_module; set_by_lua of ngx_lua, which may wait here.
// Thread   shard.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "actors/site.hpp"
#include "actors/stage.hpp"
#include "lua/regex.hpp"
#include "net/complex_value.hpp"

namespace troupe::actors {

struct rewrite_condition {
  enum class test { is_true, equals, differs, matches, does_not_match, is_file, is_folder, exists, is_executable };
  test how = test::is_true;
  bool negated = false;  ///< Of the file tests.
  net::complex_value subject = net::complex_value::constant("");
  net::complex_value operand = net::complex_value::constant("");
  std::shared_ptr<const lua::regex> pattern;
};

struct rewrite_operation {
  enum class kind { set, give_back, rewrite, stop, jump_unless, enter_block, set_by_lua };
  kind what = kind::set;
  net::variable_index variable = -1;
  net::complex_value value = net::complex_value::constant("");
  std::vector<net::complex_value> arguments;   ///< set_by_lua.
  lua_code code;                               ///< set_by_lua.
  int status = 0;                              ///< return.
  bool has_text = false;                       ///< return with a text or URL.
  std::shared_ptr<const lua::regex> pattern;   ///< rewrite.
  enum class flag { none, last, stop, redirect, permanent } how = flag::none;
  rewrite_condition condition;                 ///< jump_unless.
  std::size_t target = 0;                      ///< jump_unless.
  const location* block = nullptr;             ///< enter_block: the `if` as a location.
};

using rewrite_program = std::vector<rewrite_operation>;

class rewrite_stage final : public stage {
public:
  rewrite_stage(caf::actor_config& config, shard& home,
                std::shared_ptr<const rewrite_program> program)
      : stage(config, home), program_(std::move(program)) {}

  verdict handle(exchange_box& box) override;
  const char* name() const override { return "troupe.rewrite_stage"; }

private:
  enum class step { onward, stop, leave, wait };
  step run(exchange_box& box, const rewrite_operation& op);
  step give_back(exchange_box& box, const rewrite_operation& op);
  step rewrite(exchange_box& box, const rewrite_operation& op);
  step set_by_lua(exchange_box& box, const rewrite_operation& op);
  bool holds(exchange_box& box, const rewrite_condition& condition);

  std::shared_ptr<const rewrite_program> program_;
};

}  // namespace troupe::actors
