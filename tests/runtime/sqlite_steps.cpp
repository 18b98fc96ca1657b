// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/sqlite_steps.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <map>
#include <memory>
#include <utility>

namespace troupe::tests {
namespace {

struct watched {
  const sqlite3_io_methods* real;
  std::string path;
};

struct shim {
  sqlite_steps::hook before_step;
  sqlite3_vfs* real = nullptr;
  sqlite3_vfs ours{};
  std::map<sqlite3_file*, watched> files;
  std::map<const sqlite3_io_methods*, sqlite3_io_methods> methods;  // ours by the real ones
};

std::unique_ptr<shim> current;  // SQLite's callbacks have no other way to it

int step(std::string_view call, const std::string& path, long long end = 0) {
  const int number = current->before_step(call, path, end);
  if (number == 0) return SQLITE_OK;
  errno = number;
  if (number == ENOSPC && call == "write") return SQLITE_FULL;
  return call == "fsync" ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
}

int write_file(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  const watched& w = current->files.at(file);
  if (const int code = step("write", w.path, at + size); code != SQLITE_OK) return code;
  return w.real->xWrite(file, bytes, size, at);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  const watched& w = current->files.at(file);
  if (const int code = step("truncate", w.path, size); code != SQLITE_OK) return code;
  return w.real->xTruncate(file, size);
}

int sync_file(sqlite3_file* file, int flags) {
  const watched& w = current->files.at(file);
  if (const int code = step("fsync", w.path); code != SQLITE_OK) return code;
  return w.real->xSync(file, flags);
}

int close_file(sqlite3_file* file) {
  const auto node = current->files.extract(file);
  return node.mapped().real->xClose(file);
}

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  const int code = current->real->xOpen(current->real, name, file, flags, out_flags);
  if (file->pMethods == nullptr) return code;
  const auto* real = file->pMethods;
  auto [ours, is_new] = current->methods.try_emplace(real, *real);
  ours->second.xWrite = write_file;
  ours->second.xTruncate = truncate_file;
  ours->second.xSync = sync_file;
  ours->second.xClose = close_file;
  file->pMethods = &ours->second;
  current->files.insert_or_assign(file, watched{real, name != nullptr ? name : ""});
  return code;
}

int delete_file(sqlite3_vfs*, const char* name, int sync_folder) {
  if (const int code = step("unlink", name); code != SQLITE_OK) return SQLITE_IOERR_DELETE;
  return current->real->xDelete(current->real, name, sync_folder);
}

}  // namespace

sqlite_steps::sqlite_steps(hook before_step) {
  sqlite3_initialize();
  current = std::make_unique<shim>();
  current->before_step = std::move(before_step);
  current->real = sqlite3_vfs_find(nullptr);
  current->ours = *current->real;
  current->ours.zName = "troupe-steps";
  current->ours.pNext = nullptr;
  current->ours.xOpen = open_file;
  current->ours.xDelete = delete_file;
  sqlite3_vfs_register(&current->ours, 1);
}

sqlite_steps::~sqlite_steps() {
  sqlite3_vfs_unregister(&current->ours);
  sqlite3_vfs_register(current->real, 1);
  current.reset();
}

}  // namespace troupe::tests
