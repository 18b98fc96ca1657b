// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <system_error>

namespace troupe::tests {

temp_dir::temp_dir(place where) {
  std::error_code failed;
  std::filesystem::path above = std::filesystem::temp_directory_path(failed);
  if (where == place::memory && access("/dev/shm", W_OK) == 0) above = "/dev/shm";
  std::string name = (above / "troupe-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    ADD_FAILURE() << "no temporary folder " << name;
    return;
  }
  path_ = name;
}

temp_dir::~temp_dir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path temp_dir::write(std::string_view name, std::string_view bytes) const {
  write_file(path_ / name, bytes);
  return path_ / name;
}

std::string temp_dir::read(std::string_view name) const {
  return read_file(path_ / name);
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code failed;
  std::filesystem::create_directories(file.parent_path(), failed);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) ADD_FAILURE() << "cannot write " << file;
}

}  // namespace troupe::tests
