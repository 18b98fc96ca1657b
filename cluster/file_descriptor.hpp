// SPDX-License-Identifier: Apache-2.0
//
// An open file that is closed with its scope.
//
// Thread   any; one owner.
// Called   by cluster/disk, cluster/folder_reader, cluster/blob_store.
#pragma once

#include <utility>

#include <unistd.h>

namespace troupe::cluster {

class file_descriptor {
 public:
  explicit file_descriptor(int number = -1) noexcept : number_(number) {}
  file_descriptor(file_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~file_descriptor() {
    if (number_ >= 0) close(number_);
  }

  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
  /// Somebody else closes it.
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_;
};

}  // namespace troupe::cluster
