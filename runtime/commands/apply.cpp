// SPDX-License-Identifier: Apache-2.0
//
// `troupe apply PATH`: sends an app folder to a running node, which checks it, loads it beside the
// release that serves, and swaps it in.
#include "cluster/bundle.hpp"
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/release_answers.hpp"
#include "runtime/commands/terminal.hpp"
#include "runtime/release_needs.hpp"

namespace troupe {
namespace {

// Up to here the contents go along unasked: one way to the node and back instead of two.
constexpr std::uint64_t most_unasked_bytes = 256 * 1024;

// A message travels in the head of the request, escaped.
constexpr std::size_t most_message_bytes = 4096;

}  // namespace

int apply_command(words arguments) {
  std::string path;
  std::string message;
  std::optional<std::uint64_t> expect;
  auto flags = parse_words(
      {.name = "apply",
       .help = "Sends an app folder to a running node: it checks the whole, loads it beside the "
               "release that serves, and swaps it in. What cannot work is refused, and nothing has "
               "changed.",
       .examples = "  troupe apply app/\n"
                   "  troupe apply app/ -m 'new checkout' --expect 41\n"
                   "  troupe apply app/ --node /var/lib/troupe/b --json\n",
       .arguments = {{.name = "PATH", .help = "an app folder", .value = &path}},
       .flags = {{.name = "-m,--message",
                  .placeholder = "TEXT",
                  .help = "for the history",
                  .value = &message},
                 {.name = "--expect",
                  .placeholder = "N",
                  .help = "only if release N is what serves; else exit status 5",
                  .value = &expect}}},
      arguments);
  if (!flags) return flags.error();

  if (message.size() > most_message_bytes) {
    return wrong_usage(flags->json,
                       {.reason = "the message has " + std::to_string(message.size()) + " bytes",
                        .hint = std::to_string(most_message_bytes) + " are the most"});
  }
  app_contents contents;
  auto files = read_app(path, contents);
  if (!files) return refuse_with(flags->json, "check_failed", files.error(), exit_refused);

  auto node = node_call::to(*flags);
  if (!node) return node.error();
  cluster::bundle sent{.files = std::move(*files), .contents = {}};
  if (sent.files.total_bytes() <= most_unasked_bytes) {
    for (const auto& [name, content] : contents) sent.contents.emplace(name, content);
  } else {
    const auto missing = node->ask("POST", "/v1/contents/missing", sent.files.encode());
    if (!missing) return missing.error();
    for (const auto& each : *missing) {
      const auto name = cluster::digest::parse(each.get<std::string>());
      if (const auto found = name ? contents.find(*name) : contents.end();
          found != contents.end()) {
        sent.contents.emplace(*found);
      }
    }
  }
  std::string target = "/v1/releases?author=" + target_word(command_author());
  if (!message.empty()) target += "&message=" + target_word(message);
  if (expect) target += "&expect=" + std::to_string(*expect);
  const auto outcome = node->ask("POST", target, sent.encode());
  if (!outcome) return outcome.error();
  say(flags->json ? outcome->dump() : deployed_text(*outcome));
  return exit_done;
}

}  // namespace troupe
