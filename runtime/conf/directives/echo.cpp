// SPDX-License-Identifier: Apache-2.0
//
// `echo` and its kin: small contents for trying things out.
//
// Source   echo-nginx-module's README.
#include "runtime/conf/directives/modules.hpp"
#include "runtime/conf/directives/setters.hpp"

namespace troupe::conf {
namespace {

using actors::echo_command;

echo_command command(builder& b, const directive& d, echo_command::kind what) {
  echo_command made;
  made.what = what;
  bool options = what == echo_command::kind::say;
  for (const std::string& text : d.args) {
    if (options && text == "-n") {
      made.no_newline = true;
      continue;
    }
    if (options && text == "--") {
      options = false;
      continue;
    }
    options = false;
    made.arguments.push_back(*b.value(d, text));
  }
  return made;
}

template <echo_command::kind What>
void add(builder& b, const directive& d) {
  scope& here = b.here();
  if (!here.echo) here.echo = std::make_shared<actors::echo_program>();
  here.echo->commands.push_back(command(b, d, What));
}

void after_body(builder& b, const directive& d) {
  scope& here = b.here();
  if (!here.echo) here.echo = std::make_shared<actors::echo_program>();
  here.echo->after_body.push_back(command(b, d, echo_command::kind::say));
}

constexpr context_set places = context::location | context::if_in_location;
using kind = echo_command::kind;

constexpr directive_row rows[] = {
    {.name = "echo", .contexts = places, .arguments = takes::any, .syntax = "[-n] string …",
     .merge = merging::none, .help = "Says a line.", .apply = add<kind::say>},
    {.name = "echo_duplicate", .contexts = places, .arguments = takes::two, .syntax = "count string",
     .merge = merging::none, .help = "Says a text many times.", .apply = add<kind::duplicate>},
    {.name = "echo_flush", .contexts = places, .arguments = takes::none, .syntax = "",
     .merge = merging::none, .help = "Sends what was said so far.", .apply = add<kind::flush>},
    {.name = "echo_sleep", .contexts = places, .arguments = takes::one, .syntax = "seconds",
     .merge = merging::none, .help = "Waits, without holding the shard.", .apply = add<kind::sleep>},
    {.name = "echo_blocking_sleep", .contexts = places, .arguments = takes::one, .syntax = "seconds",
     .merge = merging::none, .help = "As echo_sleep: nothing blocks here.", .apply = add<kind::sleep>},
    {.name = "echo_read_request_body", .contexts = places, .arguments = takes::none, .syntax = "",
     .merge = merging::none, .help = "Reads the body of the request.", .apply = add<kind::read_body>},
    {.name = "echo_request_body", .contexts = places, .arguments = takes::none, .syntax = "",
     .merge = merging::none, .help = "Says the body of the request.", .apply = add<kind::body>},
    {.name = "echo_exec", .contexts = places, .arguments = takes::one | takes::two,
     .syntax = "uri [args]", .merge = merging::none, .help = "Goes to another location.",
     .apply = add<kind::exec>},
    {.name = "echo_location", .contexts = places, .arguments = takes::one | takes::two,
     .syntax = "uri [args]", .merge = merging::none, .help = "Says what another location answers.",
     .apply = add<kind::location>},
    {.name = "echo_location_async", .contexts = places, .arguments = takes::one | takes::two,
     .syntax = "uri [args]", .merge = merging::none,
     .help = "As echo_location: answers come in the order of the lines.",
     .apply = add<kind::location>},
    {.name = "echo_subrequest", .contexts = places, .arguments = takes::two_or_more,
     .syntax = "method uri [-q args] [-b body] [-f file]", .merge = merging::none,
     .help = "Says what a request of another location is answered.", .apply = add<kind::subrequest>},
    {.name = "echo_subrequest_async", .contexts = places, .arguments = takes::two_or_more,
     .syntax = "method uri [-q args] [-b body] [-f file]", .merge = merging::none,
     .help = "As echo_subrequest: answers come in the order of the lines.",
     .apply = add<kind::subrequest>},
    {.name = "echo_after_body", .contexts = places, .arguments = takes::any, .syntax = "[-n] string …",
     .merge = merging::none, .help = "Says a line at the end.", .apply = after_body},
};

}  // namespace

const directive_module echo_module{"echo", "Small contents for trying things out.", rows};

}  // namespace troupe::conf
