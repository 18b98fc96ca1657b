// SPDX-License-Identifier: Apache-2.0
//
// Feeds the reader of configurations with whole apps: the main file and what it includes, separated
// by NUL bytes, then checks the tree against a small table.
#include "runtime/conf/directive_table.hpp"
#include "runtime/conf/values.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

namespace conf = troupe::conf;
using namespace troupe::conf::context;

constexpr conf::directive_row rows[] = {
    {.name = "http",
     .contexts = main,
     .arguments = conf::takes::none,
     .once = true,
     .body = conf::body_kind::block,
     .opens = http},
    {.name = "server",
     .contexts = http,
     .arguments = conf::takes::none,
     .body = conf::body_kind::block,
     .opens = server},
    {.name = "location",
     .contexts = server | location,
     .arguments = conf::takes::one | conf::takes::two,
     .body = conf::body_kind::block,
     .opens = location},
    {.name = "types",
     .contexts = http,
     .arguments = conf::takes::none,
     .body = conf::body_kind::pairs},
    {.name = "root", .contexts = http | server | location, .once = true},
    {.name = "sendfile", .contexts = http | server, .arguments = conf::takes::flag},
    {.name = "content_by_lua_block",
     .contexts = location,
     .arguments = conf::takes::none,
     .once = true,
     .body = conf::body_kind::lua},
};
constexpr conf::directive_module modules[] = {{"fuzz", "", rows}};

/// Lines are within the text and in order, and Lua code is a part of it.
void expect_sane(const std::vector<conf::directive>& tree, std::size_t bytes) {
  for (const auto& entry : tree) {
    if (entry.line == 0 || entry.end_line < entry.line || entry.end_line > bytes + 1) std::abort();
    if (entry.lua_block.size() > bytes) std::abort();
    expect_sane(entry.children, bytes);
    for (const auto& arg : entry.args) {
      (void)conf::size_in(arg);
      (void)conf::time_in(arg);
      (void)conf::seconds_in(arg);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const conf::directive_table table(modules);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  conf::memory_files::file_map files;
  std::size_t start = 0;
  for (int i = 0; i < 4 && start <= size; ++i) {
    const auto end = std::min(bytes.find('\0', start), size);
    files[i == 0 ? "nginx.conf" : std::to_string(i)] = bytes.substr(start, end - start);
    start = end + 1;
  }
  conf::memory_files source(std::move(files));
  const auto parsed = conf::parse_file(source, "nginx.conf");
  expect_sane(parsed.directives, size);
  for (const auto& found : table.check(parsed.directives))
    if (found.reason.empty() || found.line == 0) std::abort();
  (void)conf::parse_parameters(bytes);
  return 0;
}
