// SPDX-License-Identifier: Apache-2.0
//
// A folder of its own for a test, gone with its last line.
//
// Thread   any.
// Errors   a folder or file that cannot be made fails the test and leaves an empty path.
// Called   by test_node; by tests that need files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace troupe::tests {

class temp_dir {
 public:
  enum class place { disk, memory };
  /// @param where  memory for programs that give up when a busy disk takes seconds to sync; the disk
  ///               where there is no /dev/shm.
  explicit temp_dir(place where = place::disk);
  ~temp_dir();
  temp_dir(const temp_dir&) = delete;
  temp_dir& operator=(const temp_dir&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  /// Writes a file, with the folders that lead to it, and says where it lies.
  std::filesystem::path write(std::string_view name, std::string_view bytes) const;
  /// The bytes of a file; empty if there is none.
  [[nodiscard]] std::string read(std::string_view name) const;

 private:
  std::filesystem::path path_;
};

/// The bytes of a file; empty if there is none.
std::string read_file(const std::filesystem::path& file);
/// Writes a file, with the folders that lead to it.
void write_file(const std::filesystem::path& file, std::string_view bytes);

}  // namespace troupe::tests
