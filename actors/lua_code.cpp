// SPDX-License-Identifier: Apache-2.0
#include "actors/lua_code.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "actors/exchange_box.hpp"
#include "actors/shard_release.hpp"

namespace troupe::actors {

tl::expected<int, int> lua_code::find(exchange_box& box) const {
  if (!file) return chunk;
  net::exchange& x = box.x;
  const site& conf = box.release->configuration();
  std::string path(file->evaluate(x, conf.variables));
  if (!path.starts_with('/')) path = conf.code_prefix + path;
  const auto compiled = box.release->machine().compile_file(path, x.settings->lua_code_cache);
  if (compiled) return *compiled;
  struct stat info {};
  const int error = ::stat(path.c_str(), &info) != 0 ? errno : 0;
  if (x.enabled(net::log_level::error)) {
    x.write(net::log_level::error,
            "failed to load external Lua file \"" + path + "\": " + compiled.error());
  }
  return tl::unexpected(error);
}

}  // namespace troupe::actors
