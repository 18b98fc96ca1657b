// SPDX-License-Identifier: Apache-2.0
#include "actors/stages/static_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "actors/exchange_actor.hpp"
#include "actors/shard_release.hpp"
#include "net/uri.hpp"

namespace troupe::actors {

using net::exchange_owner;
using net::log_level;

namespace {

constexpr std::size_t piece_size = 65536;

std::string path_of(const exchange_box& box, std::string_view uri) {
  const net::location_settings& settings = *box.x.settings;
  if (settings.root_is_alias) {
    return settings.root + std::string(uri.substr(std::min(box.place->name.size(), uri.size())));
  }
  return settings.root + std::string(uri);
}

std::string_view type_of(const net::location_settings& settings, std::string_view path) {
  const auto dot = path.rfind('.');
  if (settings.types && dot != std::string_view::npos && path.find('/', dot) == std::string_view::npos) {
    std::string extension(path.substr(dot + 1));
    for (char& c : extension) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    if (const auto found = settings.types->find(extension); found != settings.types->end()) {
      return found->second;
    }
  }
  return settings.default_type;
}

verdict fail(exchange_box& box, const std::string& path, int error) {
  net::exchange& x = box.x;
  const bool is_missing = error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG;
  if (x.enabled(log_level::error) && (!is_missing || x.settings->log_not_found)) {
    x.write(is_missing || error == EACCES ? log_level::error : log_level::crit,
            "open() \"" + path + "\" failed (" + std::to_string(error) + ": " +
                std::strerror(error) + ")");
  }
  return finish(box, is_missing ? 404 : error == EACCES ? 403 : 500);
}

// Sends the next piece of the open file; the exchange keeps descriptor and position.
verdict pump(exchange_box& box) {
  net::exchange& x = box.x;
  for (;;) {
    if (x.failed) return finish(box, -1);
    if (x.file_position > 0 && x.owner->flush(x) == exchange_owner::progress::waiting) {
      x.stage_waits_flush = true;
      return verdict::wait;
    }
    char* const room = x.body_out.extend(piece_size);
    const ssize_t n = ::pread(x.file.get(), room, piece_size, static_cast<off_t>(x.file_position));
    x.body_out.shrink(piece_size - static_cast<std::size_t>(n > 0 ? n : 0));
    if (n <= 0) return finish(box, 0);
    x.file_position += static_cast<std::uint64_t>(n);
    if (x.file_position >= static_cast<std::uint64_t>(x.response_length)) return finish(box, 0);
    if (x.owner->filter(x, false) == exchange_owner::progress::waiting) {
      x.stage_waits_filter = true;
      return verdict::wait;
    }
  }
}

}  // namespace

verdict static_file_stage::handle(exchange_box& box) {
  net::exchange& x = box.x;
  if (x.stage_entered) return pump(box);
  if (x.method != net::method_get && x.method != net::method_head) return finish(box, 405);
  const net::location_settings& settings = *x.settings;
  if (x.uri.find('\0') != std::string_view::npos) return finish(box, 404);
  if (x.uri.ends_with('/')) {
    for (const std::string& index : settings.index) {
      struct stat info {};
      const std::string candidate = path_of(box, std::string(x.uri) + index);
      if (::stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
        x.redirect_uri = x.keep(std::string(x.uri) + index);
        x.redirect_args = x.args;
        x.next = net::direction::internal_redirect;
        return verdict::leave;
      }
    }
    const std::string folder = path_of(box, x.uri);
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0) {
      const std::string shown =
          settings.index.empty() ? folder : folder + settings.index.front();
      return fail(box, shown, errno);
    }
    if (x.enabled(log_level::error)) {
      x.write(log_level::error, "directory index of \"" + folder + "\" is forbidden");
    }
    return finish(box, 403);
  }
  const std::string path = path_of(box, x.uri);
  net::unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return fail(box, path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail(box, path, errno);
  if (S_ISDIR(info.st_mode)) {
    std::string target;
    net::escape_uri(target, x.uri, net::escape_type::path);
    target += '/';
    if (!x.args.empty()) target += "?" + std::string(x.args);
    if (settings.absolute_redirect && !x.host.empty()) {
      std::string absolute = "http://" + std::string(x.host);
      if (settings.port_in_redirect && x.client.server_port != 80) {
        absolute += ":" + std::to_string(x.client.server_port);
      }
      target = absolute + target;
    }
    x.response_headers.set("Location", x.keep(target));
    return finish(box, 301);
  }
  if (!S_ISREG(info.st_mode)) return finish(box, 404);
  x.status = 200;
  x.content_type = type_of(settings, path);
  x.response_length = info.st_size;
  x.last_modified = info.st_mtime;
  if (settings.etag) {
    char tag[64];
    const int size = std::snprintf(tag, sizeof tag, "\"%llx-%llx\"",
                                   static_cast<unsigned long long>(info.st_mtime),
                                   static_cast<unsigned long long>(info.st_size));
    const std::string_view kept = x.keep({tag, static_cast<std::size_t>(size)});
    x.response_headers.set("ETag", kept);
    const std::string_view asked = x.headers.value("If-None-Match");
    if (!asked.empty() && (asked == "*" || asked.find(kept) != std::string_view::npos)) {
      x.status = 304;
      x.response_length = -1;
      return finish(box, 0);
    }
  }
  if (x.method == net::method_head || info.st_size == 0) return finish(box, 0);
  x.file = std::move(file);
  x.file_position = 0;
  return pump(box);
}

}  // namespace troupe::actors
