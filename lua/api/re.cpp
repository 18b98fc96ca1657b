// SPDX-License-Identifier: Apache-2.0
//
// ngx.re.match, find, gmatch, sub, gsub on PCRE2.
//
// Source   the sections "ngx.re.*" of ngx_lua's README; pcre2api(3).
// Thread   that of the VM: a compiled expression belongs to it.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <string>

extern "C" {
#include "lua/api/re.ffi.h"
}

#include "lua/api/areas.hpp"
#include "lua/current.hpp"
#include "lua/vm.hpp"
#include "net/log.hpp"

namespace troupe::lua {
namespace {

// Bits as in re.lua.
enum flag : unsigned {
  anchored = 1,
  dfa = 2,
  duplicate_names = 4,
  caseless = 8,
  jit = 16,
  javascript = 32,
  multiline = 64,
  dot_all = 128,
  utf = 256,
  no_utf_check = 512,
  extended = 1024,
};

constexpr int dfa_workspace = 1000;

void log(net::log_level level, std::string_view text) noexcept {
  const net::log_context* target = current.log;
  if (target != nullptr && target->enabled(level)) target->write(level, text);
}

troupe_regex* compile(const char* pattern, std::size_t size, unsigned flags,
                      unsigned limit, troupe_regex_failure* failure) noexcept {
  std::uint32_t options = 0;
  if ((flags & anchored) != 0) options |= PCRE2_ANCHORED;
  if ((flags & duplicate_names) != 0) options |= PCRE2_DUPNAMES;
  if ((flags & caseless) != 0) options |= PCRE2_CASELESS;
  if ((flags & javascript) != 0) options |= PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF;
  if ((flags & multiline) != 0) options |= PCRE2_MULTILINE;
  if ((flags & dot_all) != 0) options |= PCRE2_DOTALL;
  if ((flags & (utf | no_utf_check)) != 0) options |= PCRE2_UTF;
  if ((flags & no_utf_check) != 0) options |= PCRE2_NO_UTF_CHECK;
  if ((flags & extended) != 0) options |= PCRE2_EXTENDED;

  int error = 0;
  std::size_t offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), size, options, &error,
                                   &offset, nullptr);
  if (code == nullptr) {
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(failure->message),
                            sizeof failure->message);
    failure->offset = static_cast<int>(offset);
    return nullptr;
  }
  auto* made = new (std::nothrow) troupe_regex{};
  if (made == nullptr) {
    pcre2_code_free(code);
    return nullptr;
  }
  made->code = code;
  made->dfa = (flags & dfa) != 0 ? 1 : 0;
  made->utf = (options & PCRE2_UTF) != 0 ? 1 : 0;
  std::uint32_t groups = 0;
  std::uint32_t count = 0;
  std::uint32_t entry = 0;
  PCRE2_SPTR names = nullptr;
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
  pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
  pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &entry);
  pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &names);
  made->groups = made->dfa != 0 ? 0 : static_cast<int>(groups);
  made->name_count = static_cast<int>(count);
  made->name_size = static_cast<int>(entry);
  made->names = names;
  auto* match = pcre2_match_data_create(groups + 1, nullptr);
  made->match = match;
  made->offsets = pcre2_get_ovector_pointer(match);
  if (limit > 0) {
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    pcre2_set_match_limit(context, limit);
    made->context = context;
  }
  if ((flags & jit) != 0 && made->dfa == 0) {
    const int result = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    if (result == 0) {
      log(net::log_level::debug, "pcre2 JIT compiled successfully");
    } else {
      log(net::log_level::info, "pcre2_jit_compile() failed: " + std::to_string(result) + " in \"" +
                                    std::string(pattern, size) + "\", ignored");
    }
  }
  return made;
}

void destroy(troupe_regex* regex) noexcept {
  pcre2_match_data_free(static_cast<pcre2_match_data*>(regex->match));
  pcre2_match_context_free(static_cast<pcre2_match_context*>(regex->context));
  pcre2_code_free(static_cast<pcre2_code*>(regex->code));
  delete regex;
}

int exec(troupe_regex* regex, const char* subject, std::size_t size, std::size_t start,
         int unchecked) noexcept {
  if (start > size) return PCRE2_ERROR_NOMATCH;
  auto* match = static_cast<pcre2_match_data*>(regex->match);
  const std::uint32_t options = unchecked != 0 ? PCRE2_NO_UTF_CHECK : 0;
  int count = 0;
  if (regex->dfa != 0) {
    int workspace[dfa_workspace];
    count = pcre2_dfa_match(static_cast<const pcre2_code*>(regex->code),
                            reinterpret_cast<PCRE2_SPTR>(subject), size, start, options, match,
                            static_cast<pcre2_match_context*>(regex->context), workspace,
                            dfa_workspace);
    return count >= 0 ? 1 : count;  // Further pairs are shorter matches of the same place.
  }
  count = pcre2_match(static_cast<const pcre2_code*>(regex->code),
                      reinterpret_cast<PCRE2_SPTR>(subject), size, start, options, match,
                      static_cast<pcre2_match_context*>(regex->context));
  if (count == PCRE2_ERROR_MATCHLIMIT) return -8;  // PCRE 1's number, which the API keeps.
  return count;
}

int cache_entries() noexcept {
  return current.machine != nullptr ? current.machine->options().regex_cache_entries : 1024;
}
unsigned match_limit() noexcept {
  return current.machine != nullptr
             ? static_cast<unsigned>(current.machine->options().regex_match_limit)
             : 0;
}

void complain(const char* text, std::size_t size) noexcept {
  log(net::log_level::error, {text, size});
}
void note(const char* text, std::size_t size) noexcept { log(net::log_level::debug, {text, size}); }

// PCRE2 grows its own stack for JIT code; there is nothing to set.
int jit_stack(std::size_t) noexcept { return 0; }

constexpr troupe_ffi_re table{.compile = compile,
                              .destroy = destroy,
                              .exec = exec,
                              .cache_entries = cache_entries,
                              .match_limit = match_limit,
                              .complain = complain,
                              .note = note,
                              .jit_stack = jit_stack};

}  // namespace

const api_area re_area{.name = "re",
                       .cdef = {
#include "lua/api/re.ffi.h.inc"
                       },
                       .table = &table,
                       .source = {
#include "lua/api/re.lua.inc"
                       },
                       .functions = nullptr};

}  // namespace troupe::lua
