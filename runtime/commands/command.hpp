// SPDX-License-Identifier: Apache-2.0
//
// The commands of `troupe`, one a file in this folder. A command gets the words behind its name and
// returns the exit status; adding one is a file and a row in commands.cpp.
//
// Source   docs/getting-started.md.
// Thread   main.
// Called   by runtime/main.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// What scripts can tell apart.
enum exit_status : int {
  exit_done = 0,
  exit_refused = 1,  ///< Nothing has changed.
  exit_usage = 2,
  exit_partly = 3,  ///< Done on some nodes only.
  exit_no_answer = 4,
  exit_overtaken = 5,  ///< Someone else was first.
};

using words = std::span<const std::string>;

struct command {
  std::string_view name;
  std::string_view help;  ///< A line.
  int (*perform)(words);
};

[[nodiscard]] std::span<const command> commands() noexcept;

int run_command(words arguments);
int check_command(words arguments);
int apply_command(words arguments);
int releases_command(words arguments);
int diff_command(words arguments);
int rollback_command(words arguments);
int config_command(words arguments);
int status_command(words arguments);
int upgrade_command(words arguments);
int version_command(words arguments);
int node_command(words arguments);
int push_command(words arguments);
int nodes_command(words arguments);
int cluster_command(words arguments);
int keys_command(words arguments);

/// `troupe -p PREFIX -c CONF …`; no row of the table, for it has no name.
int nginx_command(words arguments);

/// Finds the command of the first word and performs it; else nginx's invocation, help, or a hint.
int perform(words arguments);

/// What `troupe --help` prints.
[[nodiscard]] std::string general_help();

}  // namespace troupe
