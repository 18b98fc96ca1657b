// SPDX-License-Identifier: Apache-2.0
//
// `troupe run PATH --watch`: tells when something below a folder has been saved. Editors write in
// several steps (a swap file, a rename); what comes within a moment is told once.
//
// Source   inotify(7).
// Thread   one of its own, "watch"; on_change is called on it.
// Errors   opening: a diagnostic (no more watches to be had …). A folder that comes later and
// cannot
//          be watched is told to the log.
// Called   by runtime/commands/run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "troupe/diagnostic.hpp"

namespace troupe {

class folder_watch {
 public:
  [[nodiscard]] static tl::expected<folder_watch, diagnostic> open(const std::string& folder,
                                                                   std::function<void()> on_change);
  folder_watch(folder_watch&& other) noexcept;
  ~folder_watch();

 private:
  struct impl;
  explicit folder_watch(std::unique_ptr<impl> made);
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
