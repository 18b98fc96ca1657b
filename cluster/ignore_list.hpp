// SPDX-License-Identifier: Apache-2.0
//
// Which files of a folder are no part of a release: a few that never are, and those that the
// folder's `.troupeignore` names, a pattern a line in .gitignore's form (`*`, `?`, `[a-z]`, `**`;
// `/` in front or inside: from the top; `/` at the end: folders only; `!`: after all; `#`: a
// comment).
//
// Source   gitignore(5), for the form.
// Thread   any; a value.
// Called   by cluster/folder_reader; by what watches a folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

class ignore_list {
 public:
  /// @param text  of `.troupeignore`; empty: the built-in ones alone.
  explicit ignore_list(std::string_view text = {});

  /// @param path  relative to the folder. What lies in an ignored folder is not asked for.
  [[nodiscard]] bool ignores(std::string_view path, bool is_folder) const;

 private:
  struct rule {
    std::string pattern;
    bool from_top = false;
    bool folders_only = false;
    bool again = false;  ///< `!`
  };
  void add(std::string_view line);
  std::vector<rule> rules_;
};

/// Whether a glob matches a whole text; `*`, `?` and `[` stop at `/`, `**` does not.
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace troupe::cluster
