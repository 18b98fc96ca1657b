// SPDX-License-Identifier: Apache-2.0
#include "lua/regex.hpp"

#include <algorithm>

namespace troupe::lua {

tl::expected<regex, regex_error> regex::compile(std::string_view pattern, std::uint32_t options,
                                                bool jit) {
  int code = 0;
  std::size_t offset = 0;
  regex made;
  made.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                 options, &code, &offset, nullptr));
  if (!made.code_) {
    char text[256] = {};
    pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
    return tl::unexpected(regex_error{code, text, offset});
  }
  made.jit_ = jit && pcre2_jit_compile(made.code_.get(), PCRE2_JIT_COMPLETE) == 0;
  std::uint32_t captures = 0;
  pcre2_pattern_info(made.code_.get(), PCRE2_INFO_CAPTURECOUNT, &captures);
  made.captures_ = static_cast<int>(captures);
  std::uint32_t count = 0;
  std::uint32_t size = 0;
  PCRE2_SPTR table = nullptr;
  pcre2_pattern_info(made.code_.get(), PCRE2_INFO_NAMECOUNT, &count);
  pcre2_pattern_info(made.code_.get(), PCRE2_INFO_NAMEENTRYSIZE, &size);
  pcre2_pattern_info(made.code_.get(), PCRE2_INFO_NAMETABLE, &table);
  for (std::uint32_t i = 0; i < count; ++i, table += size) {
    made.names_.emplace_back(reinterpret_cast<const char*>(table + 2), (table[0] << 8) | table[1]);
  }
  return made;
}

int regex::match(std::string_view subject, std::size_t start, std::uint32_t options,
                 std::span<std::size_t> offsets) const noexcept {
  // Small, and freed at once: patterns of the configuration have few groups. ngx.re keeps its own.
  pcre2_match_data* data = pcre2_match_data_create_from_pattern(code_.get(), nullptr);
  if (data == nullptr) return PCRE2_ERROR_NOMEMORY;
  const int count = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()),
                                subject.size(), start, options, data, nullptr);
  if (count > 0) {
    const std::size_t* found = pcre2_get_ovector_pointer(data);
    const std::size_t wanted = std::min(offsets.size(), static_cast<std::size_t>(count) * 2);
    std::copy_n(found, wanted, offsets.begin());
    std::fill(offsets.begin() + static_cast<std::ptrdiff_t>(wanted), offsets.end(), PCRE2_UNSET);
  }
  pcre2_match_data_free(data);
  return count;
}

}  // namespace troupe::lua
