// SPDX-License-Identifier: Apache-2.0
//
// How cosockets say what the system has said.
//
// Source   the error strings of "ngx.socket.tcp" in ngx_lua's README.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>

namespace troupe::lua {

/// "connection refused"
inline std::string words(const std::error_code& error) {
  const char* text = strerrordesc_np(error.value());
  std::string result = text != nullptr ? text : "unknown error";
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return result;
}

/// For the log: "0x7f5e3c0021a0"
inline std::string hex(const void* pointer) {
  char text[32];
  std::snprintf(text, sizeof text, "%p", pointer);
  return text;
}

/// For the log: "connect() failed (111: Connection refused)"
inline std::string failed(const char* call, const std::error_code& error) {
  const char* text = strerrordesc_np(error.value());
  return std::string(call) + " failed (" + std::to_string(error.value()) + ": " +
         (text != nullptr ? text : "Unknown error") + ")";
}

}  // namespace troupe::lua
