// SPDX-License-Identifier: Apache-2.0
//
// `troupe version`: its version and those of its libraries.
#include "runtime/commands/command.hpp"
#include "runtime/commands/shared_flags.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/json_text.hpp"
#include "runtime/release_needs.hpp"
#include "runtime/versions.hpp"

namespace troupe {

int version_command(words arguments) {
  auto flags = parse_words(
      {.name = "version",
       .help = "The version of troupe, of the nginx that it behaves as, and of its libraries.",
       .examples = "  troupe version\n"
                   "  troupe version --json\n",
       .has_node = false},
      arguments);
  if (!flags) return flags.error();
  if (flags->json) {
    std::string text = "{\"version\":" + json_string(troupe_version()) +
                       ",\"nginx\":" + json_string(nginx_version) +
                       ",\"compiler\":" + json_string(compiler_version()) + ",\"libraries\":{";
    std::string_view separator;
    for (const library_version& library : library_versions()) {
      text +=
          std::string(separator) + json_string(library.name) + ':' + json_string(library.version);
      separator = ",";
    }
    text += "},\"features\":[";
    separator = "";
    for (const std::string_view feature : runtime_features()) {
      text += std::string(separator) + json_string(feature);
      separator = ",";
    }
    say(text + "]}");
    return exit_done;
  }
  say("troupe " + std::string(troupe_version()));
  say("behaves as nginx " + std::string(nginx_version));
  say("built by " + compiler_version());
  for (const library_version& library : library_versions()) {
    say(std::string(library.name) + ' ' + library.version);
  }
  return exit_done;
}

}  // namespace troupe
