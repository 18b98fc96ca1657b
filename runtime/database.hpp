// SPDX-License-Identifier: Apache-2.0
//
// An SQLite database of ours: opened with its schema, statements prepared once, errors that name
// the file. In WAL mode with synchronous=FULL: a transaction that commit() has reported is on the
// disk.
//
// Source   SQLite's C interface; its pages "Write-Ahead Logging" and "PRAGMA quick_check".
// Thread   any; whoever uses it holds lock().
// Errors   diagnostics: what failed on which file, and what to do about it.
// Called   by runtime/release_store, runtime/config_values.
#pragma once

#include "troupe/diagnostic.hpp"

#include <tl/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace troupe {

class database {
 public:
  struct schema {
    int version = 1;         ///< PRAGMA user_version.
    int application_id = 0;  ///< PRAGMA application_id: whose database it is.
    const char* create = nullptr;
  };

  /// Makes it if there is none. Refused: a newer schema, somebody else's database, a damaged one.
  [[nodiscard]] static tl::expected<std::shared_ptr<database>, diagnostic> open(
      std::string path, const schema& wanted);
  ~database();
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  [[nodiscard]] std::mutex& lock() noexcept { return lock_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// The results of a statement; ends with its scope.
  class rows {
   public:
    rows(rows&& other) noexcept;
    rows(const rows&) = delete;
    rows& operator=(const rows&) = delete;
    ~rows();

    /// On to the next row; whether there is one.
    [[nodiscard]] tl::expected<bool, diagnostic> next();
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] std::string text(int column) const;  ///< Also of a blob.
    [[nodiscard]] bool is_null(int column) const;

   private:
    friend class database;
    rows(database& owner, sqlite3_stmt* statement) : owner_(owner), statement_(statement) {}
    database& owner_;
    sqlite3_stmt* statement_;
  };

  /// A blob parameter; a string_view is text.
  struct blob {
    std::string_view bytes;
  };
  struct null {};

  /// @param sql  a literal: the statement is prepared at its first use and found by its address.
  template <class... Values>
  [[nodiscard]] tl::expected<rows, diagnostic> query(const char* sql, const Values&... values) {
    auto found = prepared(sql);
    if (!found) return tl::unexpected(std::move(found.error()));
    rows result(*this, *found);
    int at = 0;
    if (!(bind(*found, ++at, values) && ...)) return tl::unexpected(failure("bind"));
    return result;
  }
  /// A statement without results.
  template <class... Values>
  [[nodiscard]] tl::expected<void, diagnostic> run(const char* sql, const Values&... values) {
    auto result = query(sql, values...);
    if (!result) return tl::unexpected(std::move(result.error()));
    if (auto done = result->next(); !done) return tl::unexpected(std::move(done.error()));
    return {};
  }

  /// Rolled back with its scope unless commit() succeeded.
  class transaction {
   public:
    [[nodiscard]] static tl::expected<transaction, diagnostic> begin(database& data);
    transaction(transaction&& other) noexcept;
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    ~transaction();
    [[nodiscard]] tl::expected<void, diagnostic> commit();

   private:
    explicit transaction(database& data) : data_(&data) {}
    database* data_;
  };

  /// A diagnostic of what SQLite said last.
  [[nodiscard]] diagnostic failure(std::string_view what) const;

 private:
  explicit database(std::string path) : path_(std::move(path)) {}
  tl::expected<void, diagnostic> begin(const schema& wanted);
  tl::expected<void, diagnostic> check() const;
  tl::expected<std::int64_t, diagnostic> number(const char* sql);
  tl::expected<sqlite3_stmt*, diagnostic> prepared(const char* sql);
  static bool bind(sqlite3_stmt* statement, int at, std::int64_t value);
  static bool bind(sqlite3_stmt* statement, int at, std::string_view value);
  static bool bind(sqlite3_stmt* statement, int at, blob value);
  static bool bind(sqlite3_stmt* statement, int at, null value);

  std::string path_;
  std::mutex lock_;
  sqlite3* handle_ = nullptr;
  int version_ = 0;  ///< Of the schema that is in the file.
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace troupe
