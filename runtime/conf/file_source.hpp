// SPDX-License-Identifier: Apache-2.0
//
// Where the parser gets files from: the disk, or the bytes of a release in memory.
//
// Source   include in https://nginx.org/en/docs/ngx_core_module.html#include; glob(7).
// Thread   any, one at a time.
// Errors   errno's values, as their texts belong to nginx's message (`open() "…" failed (2: …)`).
// Called   by runtime/conf/parser.cpp.
#pragma once

#include <tl/expected.hpp>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::conf {

class file_source {
 public:
  virtual ~file_source() = default;
  [[nodiscard]] virtual tl::expected<std::string, int> read(const std::string& path) = 0;
  /// Paths that match the pattern (`*`, `?`, `[…]`), sorted by their bytes. None is no error.
  [[nodiscard]] virtual std::vector<std::string> match(const std::string& pattern) = 0;
};

class disk_files final : public file_source {
 public:
  tl::expected<std::string, int> read(const std::string& path) override;
  std::vector<std::string> match(const std::string& pattern) override;
};

/// Path to content.
class memory_files final : public file_source {
 public:
  using file_map = std::map<std::string, std::string, std::less<>>;
  explicit memory_files(file_map files) : files_(std::move(files)) {}
  tl::expected<std::string, int> read(const std::string& path) override;
  std::vector<std::string> match(const std::string& pattern) override;

 private:
  file_map files_;
};

/// Whether nginx would take the argument of an include for a pattern.
[[nodiscard]] bool is_pattern(std::string_view path) noexcept;

}  // namespace troupe::conf
