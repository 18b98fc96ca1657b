// SPDX-License-Identifier: Apache-2.0
//
// `troupe diff A [B]`: what differs between two releases, unified, file by file.
#include "runtime/commands/answers.hpp"
#include "runtime/commands/command.hpp"
#include "runtime/commands/node_call.hpp"
#include "runtime/commands/order_sender.hpp"
#include "runtime/commands/terminal.hpp"

namespace troupe {
namespace {

// As git shows it: heads bold, removed lines red, added ones green, places cyan.
std::string coloured(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const char* colour = "";
    if (line.starts_with("---") || line.starts_with("+++"))
      colour = "\033[1m";
    else if (line.starts_with('-'))
      colour = "\033[31m";
    else if (line.starts_with('+'))
      colour = "\033[32m";
    else if (line.starts_with("@@"))
      colour = "\033[36m";
    out += *colour == '\0' ? line : colour + line + "\033[0m";
    out += '\n';
    at = end + 1;
  }
  return out;
}

}  // namespace

int diff_command(words arguments) {
  std::string from;
  std::string to;
  std::string app;
  auto flags = parse_words(
      {.name = "diff",
       .help = "What differs between release A and release B, by default the one that serves: a "
               "unified diff, file by file. A of 0 stands for nothing.",
       .examples = "  troupe diff 41 42\n"
                   "  troupe diff 41 | less\n",
       .arguments = {{.name = "A", .help = "a release's number", .value = &from},
                     {.name = "B", .help = "another's", .value = &to, .required = false}},
       .flags = {{.name = "--app",
                  .placeholder = "NAME",
                  .help = "of a cluster: which app [default]",
                  .value = &app}}},
      arguments);
  if (!flags) return flags.error();
  for (const std::string* number : {&from, &to}) {
    if (number->find_first_not_of("0123456789") == std::string::npos) continue;
    return wrong_usage(flags->json, {.reason = '"' + *number + "\" is no release's number",
                                     .hint = "`troupe releases` lists those that there are"});
  }
  if (const auto wrong = wrong_app(app)) return wrong_usage(flags->json, *wrong);
  auto node = node_call::to(*flags);
  if (!node) return node.error();
  std::string target = "/v1/diff?from=" + target_word(from);
  if (!to.empty()) target += "&to=" + target_word(to);
  if (!app.empty()) target += "&app=" + target_word(app);
  const auto answer = node->ask("GET", target);
  if (!answer) return answer.error();
  if (flags->json) {
    say(answer->dump());
    return exit_done;
  }
  std::string text;
  for (const auto& each : (*answer)["files"]) text += each["diff"].get<std::string>();
  if (has_colour(stdout)) text = coloured(text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  return exit_done;
}

}  // namespace troupe
