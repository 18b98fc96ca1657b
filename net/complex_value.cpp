// SPDX-License-Identifier: Apache-2.0
#include "net/complex_value.hpp"

#include <cstring>

#include "net/exchange.hpp"

namespace troupe::net {
namespace {
bool is_name_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
}  // namespace

complex_value complex_value::constant(std::string text) {
  complex_value v;
  v.text_ = std::move(text);
  return v;
}

tl::expected<complex_value, std::string> complex_value::compile(std::string_view text,
                                                                variable_table& variables) {
  complex_value v;
  v.text_ = text;
  std::vector<part> parts;
  std::string literal;
  bool has_variables = false;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      literal += text[i++];
      continue;
    }
    ++i;
    const bool braced = i < text.size() && text[i] == '{';
    if (braced) ++i;
    if (!braced && i < text.size() && text[i] >= '1' && text[i] <= '9') {
      if (!literal.empty()) parts.push_back({std::exchange(literal, {})});
      parts.push_back({{}, -1, text[i++] - '0'});
      has_variables = true;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && is_name_char(text[i])) ++i;
    const std::string_view name = text.substr(begin, i - begin);
    if (braced) {
      if (i >= text.size() || text[i] != '}') {
        return tl::unexpected("the closing bracket in \"" + std::string(name) +
                              "\" variable is missing");
      }
      ++i;
    }
    if (name.empty()) return tl::unexpected(std::string("invalid variable name"));
    if (!literal.empty()) parts.push_back({std::exchange(literal, {})});
    if (braced && name.size() == 1 && name[0] >= '1' && name[0] <= '9') {
      parts.push_back({{}, -1, name[0] - '0'});
    } else {
      const variable_index index = variables.find_or_make(name);
      if (index < 0) return tl::unexpected("unknown \"" + std::string(name) + "\" variable");
      parts.push_back({{}, index, -1});
    }
    has_variables = true;
  }
  if (has_variables) {
    if (!literal.empty()) parts.push_back({std::move(literal)});
    v.parts_ = std::move(parts);
  }
  return v;
}

std::string_view complex_value::evaluate(exchange& x, const variable_table& variables) const {
  if (parts_.empty()) return text_;
  // One variable alone needs no copy.
  auto value_of = [&](const part& p) -> std::string_view {
    if (p.capture >= 0) {
      const auto index = static_cast<std::size_t>(p.capture);
      return index < x.captures.size() ? x.captures[index] : std::string_view{};
    }
    if (p.variable >= 0) return variables.get(x, p.variable).value_or(std::string_view{});
    return p.literal;
  };
  if (parts_.size() == 1) return value_of(parts_[0]);
  std::string_view values[16];
  std::vector<std::string_view> more;
  std::string_view* at = values;
  if (parts_.size() > std::size(values)) {
    more.resize(parts_.size());
    at = more.data();
  }
  std::size_t size = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    at[i] = value_of(parts_[i]);
    size += at[i].size();
  }
  char* out = static_cast<char*>(x.memory.allocate(size, 1));
  char* end = out;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!at[i].empty()) std::memcpy(end, at[i].data(), at[i].size());
    end += at[i].size();
  }
  return {out, size};
}

}  // namespace troupe::net
