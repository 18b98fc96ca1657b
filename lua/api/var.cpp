// SPDX-License-Identifier: Apache-2.0
//
// ngx.var: nginx's variables; ngx.arg of body filters.
//
// Source   "ngx.var.VARIABLE" and "ngx.arg" of ngx_lua's README.
#include <cstddef>

extern "C" {
#include "lua/api/var.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/script.hpp"
#include "lua/vm.hpp"
#include "net/exchange.hpp"
#include "net/variables.hpp"

namespace troupe::lua {
namespace {

const net::variable_table* variables() noexcept {
  return current.machine != nullptr ? current.machine->options().variables : nullptr;
}

int answer(net::variable_value value, const char** text, std::size_t* size) noexcept {
  if (!value) return 1;
  *text = value->data();
  *size = value->size();
  return 0;
}

int get(const char* name, std::size_t size, const char** value, std::size_t* value_size) noexcept {
  net::exchange* x = current.exchange;
  if (x == nullptr || variables() == nullptr) return -1;
  return answer(variables()->get_by_name(*x, {name, size}), value, value_size);
}

int capture(int number, const char** value, std::size_t* value_size) noexcept {
  const net::exchange* x = current.exchange;
  if (x == nullptr) return -1;
  if (number < 0 || static_cast<std::size_t>(number) >= x->captures.size()) return 1;
  const std::string_view text = x->captures[static_cast<std::size_t>(number)];
  if (text.data() == nullptr) return 1;
  return answer(text, value, value_size);
}

int set(const char* name, std::size_t size, const char* value, std::size_t value_size) noexcept {
  net::exchange* x = current.exchange;
  if (x == nullptr || variables() == nullptr) return -1;
  net::variable_value v;
  if (value != nullptr) v = std::string_view(value, value_size);
  switch (variables()->set_by_name(*x, {name, size}, v)) {
    case net::variable_table::assigned::done: return 0;
    case net::variable_table::assigned::unknown: return 1;
    case net::variable_table::assigned::not_changeable: return 2;
  }
  return 1;
}

int set_argument(int number, const char** value, std::size_t* value_size) noexcept {
  if (current.running == nullptr || current.running->where() != phase::set) return -1;
  const auto& arguments = current.exchange->set_arguments;
  if (number < 1 || static_cast<std::size_t>(number) > arguments.size()) return 1;
  return answer(arguments[static_cast<std::size_t>(number) - 1], value, value_size);
}

bool in_body_filter() noexcept {
  return current.running != nullptr && current.running->where() == phase::body_filter;
}

int get_chunk(const char** bytes, std::size_t* size, int* eof) noexcept {
  if (!in_body_filter()) return -1;
  *bytes = current.exchange->filter_chunk.data();
  *size = current.exchange->filter_chunk.size();
  *eof = current.exchange->filter_eof ? 1 : 0;
  return 0;
}

int set_chunk(const char* bytes, std::size_t size) noexcept {
  if (!in_body_filter()) return -1;
  current.exchange->filter_chunk = current.exchange->keep({bytes, size});
  return 0;
}

int set_eof(int eof) noexcept {
  if (!in_body_filter()) return -1;
  current.exchange->filter_eof = eof != 0;
  return 0;
}

constexpr troupe_ffi_var table{.get = get,
                               .capture = capture,
                               .set = set,
                               .set_argument = set_argument,
                               .get_chunk = get_chunk,
                               .set_chunk = set_chunk,
                               .set_eof = set_eof};

}  // namespace

const api_area var_area{.name = "var",
                        .cdef = {
#include "lua/api/var.ffi.h.inc"
                        },
                        .table = &table,
                        .source = {
#include "lua/api/var.lua.inc"
                        },
                        .functions = nullptr};

}  // namespace troupe::lua
