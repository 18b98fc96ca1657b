// SPDX-License-Identifier: Apache-2.0
#include "runtime/commands/shared_flags.hpp"

#include "runtime/commands/answers.hpp"
#include "runtime/commands/spelling.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/data_folder.hpp"
#include "runtime/default_key_folder.hpp"
#include "runtime/log_sink.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>

namespace troupe {
namespace {

// "--log-level" -> "TROUPE_LOG_LEVEL"
std::string environment_name(std::string_view flag) {
  std::string name = "TROUPE_";
  for (const char letter : flag.substr(2)) {
    name += letter == '-' ? '_' : static_cast<char>(std::toupper(letter));
  }
  return name;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

class command_parser {
 public:
  command_parser(const command_syntax& syntax, shared_flags& flags)
      : syntax_(syntax), flags_(flags), app_(std::string(syntax.help)) {
    app_.name("troupe " + std::string(syntax.name));
    app_.footer("Examples\n" + std::string(syntax.examples));
    app_.set_help_flag("-h,--help", "this");
    for (const argument& each : syntax.arguments) {
      auto* option = app_.add_option(std::string(each.name), *each.value, std::string(each.help));
      option->required(each.required)->option_text(" ");
    }
    for (const own_flag& each : syntax.flags) add_own(each);
    if (syntax.has_node) add_node_flags();
    app_.add_flag("--json", flags_.json, "one JSON document on stdout, nothing else there")
        ->group("Shared flags");
    app_.add_option("--config", config_, "TOML with the names of these flags")
        ->option_text("FILE")
        ->group("Shared flags");
  }

  // Throws CLI's errors.
  void parse(words given) {
    // What is wrong may come before it is read.
    wants_json_ = std::ranges::find(given, "--json") != given.end();
    std::vector<std::string> reversed(given.rbegin(), given.rend());  // as CLI11 wants them
    app_.parse(reversed);
    take_environment();
    take_file();
    finish();
  }

  [[nodiscard]] std::string help() const { return app_.help(); }
  [[nodiscard]] int exit_of(const CLI::Error& error) const {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      std::fputs(help().c_str(), stdout);
      return exit_done;
    }
    const std::string unknown = unknown_word();
    std::string reason = error.what();
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
      reason =
          (unknown.starts_with("-") ? "unknown flag \"" : "unexpected word \"") + unknown + '"';
    }
    return wrong_usage(wants_json_, {.reason = reason, .hint = hint(unknown)});
  }

 private:
  void add_own(const own_flag& flag) {
    std::visit(
        [&](auto* value) {
          using type = std::remove_pointer_t<decltype(value)>;
          const std::string name(flag.name), help(flag.help);
          if constexpr (std::is_same_v<type, bool>) {
            app_.add_flag(name, *value, help);
          } else if constexpr (std::is_same_v<type, std::vector<std::string>>) {
            app_.add_option(name, *value, help)
                ->option_text(std::string(flag.placeholder))
                ->take_all()
                ->allow_extra_args(false);
          } else {
            app_.add_option(name, *value, help)->option_text(std::string(flag.placeholder));
          }
        },
        flag.value);
  }

  CLI::Option* node_flag(CLI::Option* option, const char* placeholder) {
    // As everywhere, the last of several wins: scripts append what they want otherwise.
    return option->option_text(placeholder)->group("Shared flags")->take_last();
  }

  void add_node_flags() {
    node_flag(app_.add_option("--name", flags_.name,
                              "the node's name [" + std::string(syntax_.default_name) + ']'),
              "NAME");
    node_flag(app_.add_option("--data", flags_.data,
                              "the node's data folder [/var/lib/troupe/NAME as root, else "
                              "~/.local/state/troupe/NAME]"),
              "DIR");
    node_flag(app_.add_option("--node", flags_.node,
                              "the running node that is meant: a data folder, a control socket or "
                              "host:port [that of --data or --name]"),
              "ADDR");
    node_flag(app_.add_option("--keys", flags_.keys,
                              "the folder with your keys of clusters [/etc/troupe/keys as root, else "
                              "~/.config/troupe/keys]"),
              "DIR");
    node_flag(
        app_.add_option("--timeout", flags_.timeout, "for the whole command [as long as it takes]")
            ->check(CLI::Range(0.001, 1e9)),
        "S");
    node_flag(app_.add_option("--port", flags_.port,
                              "the app's first port becomes N, its others move along; 0: free "
                              "ports"),
              "N");
    node_flag(app_.add_option("--shards", flags_.shards,
                              "threads that serve [worker_processes of the app, else one a core]")
                  ->check(CLI::Range(1, 1024)),
              "N");
    node_flag(app_.add_option("--log-level", level_,
                              "of all error logs: emerg alert crit error warn notice info debug"),
              "L");
    node_flag(app_.add_option("--set", settings_, "a configuration value; may be repeated"),
              "KEY=VALUE")
        ->take_all()
        ->allow_extra_args(false);
  }

  static bool is_environment_s(const CLI::Option& option) {
    return !option.get_lnames().empty() && option.get_lnames()[0] != "help";
  }

  void add_values(CLI::Option& option, const std::vector<std::string>& values,
                  const std::string& where) {
    try {
      for (const std::string& value : values) option.add_result(value);
      option.run_callback();
    } catch (const CLI::ParseError& error) {
      throw CLI::ValidationError(where + ": " + error.what());
    }
  }

  void take_environment() {
    for (CLI::Option* option : app_.get_options()) {
      if (option->count() > 0 || !is_environment_s(*option)) continue;
      const std::string name = environment_name("--" + option->get_lnames()[0]);
      const char* value = std::getenv(name.c_str());
      if (value == nullptr || *value == '\0') continue;
      // Several --set are one variable, with commas between them.
      const bool is_list = option->get_items_expected_max() > 1;
      add_values(*option, is_list ? split(value, ',') : std::vector<std::string>{value}, name);
    }
  }

  void take_file() {
    if (config_.empty()) return;
    std::ifstream file(config_);
    if (!file) throw CLI::FileError::Missing(config_);
    CLI::Option* set = app_.get_option_no_throw("--set");
    const bool sets = set != nullptr && set->count() == 0;
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(file)) {
      if (item.name == "++" || item.name == "--") continue;  // where a section begins and ends
      if (item.parents == std::vector<std::string>{"set"}) {
        if (sets)
          add_values(*set, {item.name + '=' + (item.inputs.empty() ? "" : item.inputs[0])},
                     config_);
        continue;
      }
      CLI::Option* option = item.parents.empty() && item.name != "config" && item.name != "help"
                                ? app_.get_option_no_throw("--" + item.name)
                                : nullptr;
      if (option == nullptr) {
        // A file serves all commands: what describes a node is no mistake where there is none.
        if (!syntax_.has_node && item.parents.empty()) continue;
        throw CLI::ValidationError(config_ + ": unknown setting \"" + item.fullname() + '"');
      }
      if (option->count() == 0) add_values(*option, item.inputs, config_);
    }
  }

  void finish() {
    if (!level_.empty()) {
      auto level = parse_log_level(level_);
      if (!level) throw CLI::ValidationError("--log-level: " + level.error());
      flags_.log_level = *level;
    }
    for (const std::string& setting : settings_) {
      const std::size_t equals = setting.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw CLI::ValidationError("--set: \"" + setting + "\" is no KEY=VALUE");
      }
      flags_.values.insert_or_assign(setting.substr(0, equals), setting.substr(equals + 1));
    }
    for (const char* each : {"--name", "--data", "--node"}) {
      const CLI::Option* option = app_.get_option_no_throw(each);
      if (option != nullptr && option->count() > 0) flags_.says_which = true;
    }
    const std::string& name = flags_.name;
    const bool is_name =
        !name.empty() && name[0] != '.' && std::ranges::all_of(name, [](unsigned char letter) {
          return std::isalnum(letter) != 0 || letter == '-' || letter == '_' || letter == '.';
        });
    if (!is_name) {
      throw CLI::ValidationError("--name: \"" + name +
                                 "\" is no name: letters, digits, '-', '_' and '.' make one");
    }
  }

  // What is not expected: the first flag of it, else the first word; empty if all is.
  [[nodiscard]] std::string unknown_word() const {
    const std::vector<std::string> unknown = app_.remaining();
    const auto flag = std::ranges::find_if(
        unknown, [](const std::string& word) { return word.starts_with("-"); });
    if (flag != unknown.end()) return flag->substr(0, flag->find('='));
    return unknown.empty() ? "" : unknown.front();
  }

  // The flag that an unknown one may have been meant to be.
  [[nodiscard]] std::string hint(const std::string& unknown) const {
    const std::string text = "`troupe " + std::string(syntax_.name) + " --help` lists the flags";
    if (!unknown.starts_with("--")) return text;
    std::vector<std::string> names;
    for (const CLI::Option* option : app_.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    if (const auto near = nearest(unknown, views); !near.empty()) {
      return "did you mean " + std::string(near[0]) + "?";
    }
    return text;
  }

  const command_syntax& syntax_;
  shared_flags& flags_;
  CLI::App app_;
  bool wants_json_ = false;
  std::string config_;
  std::string level_;
  std::vector<std::string> settings_;
};

}  // namespace

node_options shared_flags::options() const {
  node_options result;
  result.name = name;
  result.port = port;
  result.shards = shards;
  result.log_level = log_level;
  result.values = values;
  return result;
}

std::string shared_flags::keys_path() const {
  return keys.empty() ? default_key_folder() : keys;
}

std::string shared_flags::data_path() const {
  return data.empty() ? data_folder::default_path(name) : data;
}

tl::expected<shared_flags, int> parse_words(const command_syntax& syntax, words given) {
  shared_flags flags;
  flags.name = syntax.default_name;
  command_parser parser(syntax, flags);
  try {
    parser.parse(given);
  } catch (const CLI::Error& error) {
    return tl::unexpected(parser.exit_of(error));
  }
  return flags;
}

}  // namespace troupe
