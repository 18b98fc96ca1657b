// SPDX-License-Identifier: Apache-2.0
#include "runtime/versions.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <luajit.h>
#include <openssl/crypto.h>
#include <pcre2.h>
#include <zlib.h>

#include <caf/config.hpp>

namespace troupe {

std::string_view troupe_version() noexcept {
  return TROUPE_VERSION;
}

std::vector<library_version> library_versions() {
  char pcre[64] = {};
  pcre2_config(PCRE2_CONFIG_VERSION, pcre);
  auto number = [](int part) { return std::to_string(part); };
  // "LuaJIT 2.1.0-beta3" and "OpenSSL 3.0.15 3 Sep 2024" name themselves.
  const std::string_view luajit = LUAJIT_VERSION;
  const std::string_view openssl = OpenSSL_version(OPENSSL_VERSION);
  return {{"CAF", number(CAF_MAJOR_VERSION) + '.' + number(CAF_MINOR_VERSION) + '.' +
                      number(CAF_PATCH_VERSION)},
          {"LuaJIT", std::string(luajit.substr(luajit.find(' ') + 1))},
          {"OpenSSL", std::string(openssl.substr(openssl.find(' ') + 1))},
          {"PCRE2", pcre},
          {"zlib", zlibVersion()}};
}

std::string compiler_version() {
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

}  // namespace troupe
