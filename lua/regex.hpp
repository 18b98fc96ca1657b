// SPDX-License-Identifier: Apache-2.0
//
// A compiled regular expression: locations, server names and ngx.re use the same engine.
//
// Source   pcre2api(3), pcre2jit(3).
// Thread   a regex is constant and may be shared; a match_context belongs to one thread.
// Errors   compile: PCRE2's message and the offset in the pattern.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace troupe::lua {

struct regex_error {
  int code = 0;
  std::string message;
  std::size_t offset = 0;
};

class regex {
public:
  /// @param options  PCRE2_CASELESS and so on.
  static tl::expected<regex, regex_error> compile(std::string_view pattern, std::uint32_t options,
                                                  bool jit = true);

  /// Matches from `start`. Fills `offsets` with pairs (start, end), PCRE2_UNSET for groups that took
  /// no part.
  /// @return number of pairs that are set (at least 1); PCRE2_ERROR_NOMATCH or another negative code.
  int match(std::string_view subject, std::size_t start, std::uint32_t options,
            std::span<std::size_t> offsets) const noexcept;

  [[nodiscard]] int capture_count() const noexcept { return captures_; }
  [[nodiscard]] const std::vector<std::pair<std::string, int>>& names() const noexcept {
    return names_;
  }
  [[nodiscard]] pcre2_code* code() const noexcept { return code_.get(); }
  [[nodiscard]] bool has_jit() const noexcept { return jit_; }

  /// Groups whose text a configuration gives to variables: number of the group, of the variable.
  std::vector<std::pair<int, int>> variables;

private:
  struct free_code {
    void operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
  };
  std::unique_ptr<pcre2_code, free_code> code_;
  std::vector<std::pair<std::string, int>> names_;
  int captures_ = 0;
  bool jit_ = false;
};

}  // namespace troupe::lua
