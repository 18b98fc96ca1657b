// SPDX-License-Identifier: Apache-2.0
//
// The command line of one command: the flags that every command shares, its own, and its arguments.
// A flag's value comes from the command line, else from the environment (`TROUPE_LOG_LEVEL` for
// `--log-level`), else from the TOML file of `--config`, else it is the default.
//
// CLI11 does the reading; it is included, and its exceptions are caught, in shared_flags.cpp alone.
//
// Source   docs/getting-started.md.
// Thread   main.
// Errors   said on stderr; the caller gets the exit status.
// Called   by runtime/commands.
#pragma once

#include "runtime/commands/command.hpp"
#include "troupe/options.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe {

struct shared_flags {
  std::string name = "local";               ///< --name
  bool says_which = false;                  ///< --name, --data or --node was given.
  std::string data;                         ///< --data; empty: data_folder::default_path()
  std::optional<std::uint16_t> port;        ///< --port
  unsigned shards = 0;                      ///< --shards
  std::optional<net::log_level> log_level;  ///< --log-level
  std::map<std::string, std::string, std::less<>> values;  ///< --set
  bool json = false;                                       ///< --json
  std::string node;                                        ///< --node; empty: the one of data
  std::optional<double> timeout;                           ///< --timeout, in seconds

  /// The node's options as far as flags give them; without the data folder, which wants taking.
  [[nodiscard]] node_options options() const;
  std::string keys;                                        ///< --keys, of commands that have it.
  /// --keys, or the user's own key folder.
  [[nodiscard]] std::string keys_path() const;
  /// --data, or where a node of that name has it.
  [[nodiscard]] std::string data_path() const;
};

/// A flag of one command alone.
struct own_flag {
  std::string_view name;         ///< "--watch"
  std::string_view placeholder;  ///< "N"; empty for a bool.
  std::string_view help;
  std::variant<bool*, std::string*, std::optional<std::uint64_t>*, std::vector<std::string>*> value;
};

struct argument {
  std::string_view name;  ///< "PATH"
  std::string_view help;
  std::string* value = nullptr;
  bool required = true;
};

struct command_syntax {
  std::string_view name;
  std::string_view help;      ///< Some sentences.
  std::string_view examples;  ///< Lines, indented.
  std::vector<argument> arguments = {};
  std::vector<own_flag> flags = {};
  bool has_node = true;  ///< Whether the flags that describe a node mean anything to it.
  std::string_view default_name = "local";
};

/// @return the flags, or the exit status if there is nothing more to do: 0 after `--help`.
[[nodiscard]] tl::expected<shared_flags, int> parse_words(const command_syntax& syntax,
                                                          words given);

}  // namespace troupe
