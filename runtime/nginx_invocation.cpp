// SPDX-License-Identifier: Apache-2.0
#include "runtime/nginx_invocation.hpp"

#include "runtime/versions.hpp"

#include <csignal>
#include <filesystem>
#include <system_error>

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view default_prefix = "/etc/troupe/";
constexpr std::string_view default_conf = "nginx.conf";

}  // namespace

bool is_nginx_invocation(std::span<const std::string> words) noexcept {
  return !words.empty() && words[0].size() > 1 && words[0][0] == '-' && words[0][1] != '-';
}

tl::expected<nginx_invocation, std::string> parse_nginx_invocation(
    std::span<const std::string> words) {
  nginx_invocation result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.size() < 2 || word[0] != '-') {
      return tl::unexpected("invalid option: \"" + word + '"');
    }
    // A switch with a parameter ends its bundle: the rest of the word, or the next word, is it.
    bool ended = false;
    for (std::size_t at = 1; at < word.size() && !ended; ++at) {
      auto parameter = [&](std::string& into, std::string_view what) {
        ended = true;
        if (at + 1 < word.size()) {
          into = word.substr(at + 1);
        } else if (i + 1 < words.size() && !words[i + 1].empty()) {
          into = words[++i];
        } else {
          return tl::expected<void, std::string>(
              tl::unexpect,
              std::string("option \"-") + word[at] + "\" requires " + std::string(what));
        }
        return tl::expected<void, std::string>();
      };
      tl::expected<void, std::string> taken;
      switch (word[at]) {
        case '?':
        case 'h':
          result.version = true;
          result.help = true;
          break;
        case 'v':
          result.version = true;
          break;
        case 'V':
          result.version = true;
          result.configure_options = true;
          break;
        case 't':
          result.test = true;
          break;
        case 'T':
          result.test = true;
          result.dump = true;
          break;
        case 'q':
          result.quiet = true;
          break;
        case 'p':
          taken = parameter(result.prefix, "directory name");
          break;
        case 'e':
          taken = parameter(result.error_log, "file name");
          break;
        case 'c':
          taken = parameter(result.conf, "file name");
          break;
        case 'g':
          taken = parameter(result.directives, "parameter");
          break;
        case 's':
          taken = parameter(result.signal, "parameter");
          if (taken && nginx_signal(result.signal) == 0) {
            return tl::unexpected("invalid option: \"-s " + result.signal + '"');
          }
          break;
        default:
          return tl::unexpected(std::string("invalid option: \"") + word[at] + '"');
      }
      if (!taken) return tl::unexpected(std::move(taken.error()));
    }
  }
  return result;
}

node_options options_of(const nginx_invocation& invocation) {
  node_options options;
  const fs::path given =
      invocation.prefix.empty() ? std::string(default_prefix) : invocation.prefix;
  std::error_code error;
  const fs::path prefix = fs::absolute(given, error).lexically_normal() / "";
  const std::string conf = invocation.conf.empty() ? std::string(default_conf) : invocation.conf;
  options.prefix = prefix.string();
  options.conf = (prefix / conf).string();
  options.directives = invocation.directives;
  if (!invocation.error_log.empty() && invocation.error_log != "stderr") {
    options.error_log = (prefix / invocation.error_log).string();
  }
  return options;
}

std::string_view nginx_help() noexcept {
  return R"(Usage: troupe [-?hvVtTq] [-s signal] [-p prefix]
              [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: /etc/troupe/)
  -e filename   : set error log file (default: stderr)
  -c filename   : set configuration file (default: nginx.conf of the prefix)
  -g directives : set global directives out of configuration file

troupe's own commands: troupe --help
)";
}

std::string nginx_version_text(bool with_configure_options) {
  std::string text = "nginx version: troupe/" + std::string(nginx_version) + '\n';
  if (!with_configure_options) return text;
  text += "troupe " + std::string(troupe_version()) + '\n';
  text += "built by " + compiler_version() + '\n';
  std::string others;
  for (const library_version& library : library_versions()) {
    if (library.name == "OpenSSL") {
      text += "built with OpenSSL " + library.version + '\n';
    } else {
      others += (others.empty() ? "" : ", ") + std::string(library.name) + ' ' + library.version;
    }
  }
  text += "built with " + others + '\n';
  // What scripts look for here is whether a module is there.
  text +=
      "configure arguments: --with-pcre --with-pcre-jit --with-threads --with-debug "
      "--add-module=ngx_http_lua_module --add-module=echo-nginx-module\n";
  return text;
}

int nginx_signal(std::string_view name) noexcept {
  if (name == "stop") return SIGTERM;
  if (name == "quit") return SIGQUIT;
  if (name == "reopen") return SIGUSR1;
  if (name == "reload") return SIGHUP;
  return 0;
}

}  // namespace troupe
