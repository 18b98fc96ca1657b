// SPDX-License-Identifier: Apache-2.0
#include "runtime/conf/file_source.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace troupe::conf {

tl::expected<std::string, int> disk_files::read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return tl::unexpected(errno);
  std::string content;
  char part[16384];
  for (;;) {
    const auto got = ::read(fd, part, sizeof part);
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      const int error = errno;
      ::close(fd);
      return tl::unexpected(error);
    }
    content.append(part, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return content;
}

std::vector<std::string> disk_files::match(const std::string& pattern) {
  std::vector<std::string> paths;
  ::glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

tl::expected<std::string, int> memory_files::read(const std::string& path) {
  const auto file = files_.find(path);
  if (file == files_.end()) return tl::unexpected(ENOENT);
  return file->second;
}

std::vector<std::string> memory_files::match(const std::string& pattern) {
  std::vector<std::string> paths;
  for (const auto& [path, content] : files_)
    if (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0)
      paths.push_back(path);
  return paths;
}

bool is_pattern(std::string_view path) noexcept {
  return path.find_first_of("*?[") != std::string_view::npos;
}

}  // namespace troupe::conf
