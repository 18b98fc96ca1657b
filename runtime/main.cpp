// SPDX-License-Identifier: Apache-2.0
//
// The `troupe` binary. What only asks a running node is done here: this program links little, so that
// `troupe apply` has asked before the libraries of a server would be in memory. Everything else is done
// by `troupe-server` beside it, which knows all commands and takes this process over.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/commands/command.hpp"
#include "runtime/commands/node_line.hpp"
#include "runtime/commands/terminal.hpp"

namespace {

constexpr std::array client_commands = {
    troupe::command{"apply", {}, troupe::apply_command},
    troupe::command{"releases", {}, troupe::releases_command},
    troupe::command{"diff", {}, troupe::diff_command},
    troupe::command{"status", {}, troupe::status_command},
    troupe::command{"upgrade", {}, troupe::upgrade_command},
};

char** given_words = nullptr;

int become_server() {
  std::error_code error;
  auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) path = given_words[0];
  const std::string server = path.replace_filename("troupe-server").string();
  execv(server.c_str(), given_words);
  troupe::complain(troupe::diagnostic{
      .reason = "cannot start " + server + ": " + strerrordesc_np(errno),
      .hint = "it belongs beside this program: install troupe anew"});
  return troupe::exit_refused;
}

}  // namespace

// A link needs the server's libraries. Nothing was said or done so far.
tl::expected<std::unique_ptr<troupe::node_line>, troupe::diagnostic> troupe::open_link_line(
    const std::string&, const std::string&, std::optional<admin_client::clock::time_point>) {
  std::exit(become_server());
}

int main(int count, char** values) {
  given_words = values;
  const std::vector<std::string> words(values + (count > 0 ? 1 : 0), values + count);
  for (const troupe::command& each : client_commands) {
    if (!words.empty() && words[0] == each.name) {
      return each.perform(troupe::words(words).subspan(1));
    }
  }
  return become_server();
}
