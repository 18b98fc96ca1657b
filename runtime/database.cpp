// SPDX-License-Identifier: Apache-2.0
#include "runtime/database.hpp"

#include <sqlite3.h>

#include <cstring>
#include <system_error>
#include <utility>

#include <sys/stat.h>

#include "runtime/system_hint.hpp"

namespace troupe {
namespace {

constexpr int busy_ms = 5000;
/// A database of so many bytes is checked whole at each start, a larger one after a crash only.
constexpr off_t always_checked_bytes = 4 << 20;

off_t size_of(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 ? found.st_size : 0;
}

diagnostic damaged(const std::string& path, const std::string& why) {
  return {.file = path,
          .reason = "the database is damaged: " + why,
          .hint =
              "put a backup of it in place, or move it away (troupe.db, troupe.db-wal) and apply "
              "the app again"};
}

}  // namespace

database::~database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

diagnostic database::failure(std::string_view what) const {
  const int code = sqlite3_extended_errcode(handle_);
  const int number = sqlite3_system_errno(handle_);
  std::string why = sqlite3_errmsg(handle_);
  const int primary = code & 0xff;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) return damaged(path_, why);
  if (number != 0 && (primary == SQLITE_IOERR || primary == SQLITE_FULL ||
                      primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY)) {
    why += " (" + std::to_string(number) + ": " + std::generic_category().message(number) + ')';
  }
  diagnostic result{.file = path_, .reason = std::string(what) + " failed: " + why};
  if (primary == SQLITE_CANTOPEN) result.hint = system_hint(number);
  if (primary == SQLITE_BUSY) result.hint = "another program has the database locked";
  if (primary == SQLITE_FULL) result.hint = "make room on the disk of the data folder";
  return result;
}

tl::expected<std::shared_ptr<database>, diagnostic> database::open(std::string path,
                                                                   const schema& wanted) {
  std::shared_ptr<database> result(new database(std::move(path)));
  if (auto begun = result->begin(wanted); !begun) return tl::unexpected(std::move(begun.error()));
  return result;
}

tl::expected<void, diagnostic> database::begin(const schema& wanted) {
  version_ = wanted.version;
  // What a clean end leaves behind has no WAL.
  const bool was_clean = size_of(path_ + "-wal") == 0;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr) != SQLITE_OK) {
    return tl::unexpected(failure("open"));
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, busy_ms);
  auto tables = number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tl::unexpected(std::move(tables.error()));
  auto version = number("PRAGMA user_version");
  auto application = number("PRAGMA application_id");
  if (!version) return tl::unexpected(std::move(version.error()));
  if (!application) return tl::unexpected(std::move(application.error()));
  if (*tables != 0 && *application != wanted.application_id) {
    return tl::unexpected(diagnostic{.file = path_,
                                     .reason = "this is a database of another program",
                                     .hint = "--data DIR names another folder"});
  }
  if (*tables != 0 && *version != wanted.version) {
    return tl::unexpected(
        diagnostic{.file = path_,
                   .reason = "the database was written by a newer troupe: its schema is version " +
                             std::to_string(*version) + ", this troupe knows " +
                             std::to_string(wanted.version),
                   .hint = "run that troupe, or give this one another --data folder"});
  }
  if (*tables != 0 && (!was_clean || size_of(path_) <= always_checked_bytes)) {
    if (auto fine = check(); !fine) return fine;
  }
  for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"}) {
    if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
      return tl::unexpected(failure(sql));
    }
  }
  if (*tables != 0) return {};
  auto making = transaction::begin(*this);
  if (!making) return tl::unexpected(std::move(making.error()));
  version_ = 0;  // until it is made
  const std::string script = std::string(wanted.create) +
                             ";PRAGMA user_version=" + std::to_string(wanted.version) +
                             ";PRAGMA application_id=" + std::to_string(wanted.application_id);
  if (sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return tl::unexpected(failure("making the schema"));
  }
  auto made = making->commit();
  version_ = wanted.version;
  return made;
}

tl::expected<void, diagnostic> database::check() const {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_, "PRAGMA quick_check(1)", -1, &statement, nullptr) != SQLITE_OK) {
    return tl::unexpected(failure("quick_check"));
  }
  std::string answer;
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    answer = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  auto problem = code == SQLITE_ROW ? damaged(path_, answer) : failure("quick_check");
  sqlite3_finalize(statement);
  if (answer == "ok") return {};
  return tl::unexpected(std::move(problem));
}

tl::expected<std::int64_t, diagnostic> database::number(const char* sql) {
  auto result = query(sql);
  if (!result) return tl::unexpected(std::move(result.error()));
  auto row = result->next();
  if (!row) return tl::unexpected(std::move(row.error()));
  return *row ? result->integer(0) : 0;
}

tl::expected<sqlite3_stmt*, diagnostic> database::prepared(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr && sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                 &statement, nullptr) != SQLITE_OK) {
    statement = nullptr;
    return tl::unexpected(failure("prepare"));
  }
  return statement;
}

bool database::bind(sqlite3_stmt* statement, int at, std::int64_t value) {
  return sqlite3_bind_int64(statement, at, value) == SQLITE_OK;
}

bool database::bind(sqlite3_stmt* statement, int at, std::string_view value) {
  return sqlite3_bind_text64(statement, at, value.data() != nullptr ? value.data() : "",
                             value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK;
}

bool database::bind(sqlite3_stmt* statement, int at, blob value) {
  return sqlite3_bind_blob64(statement, at, value.bytes.data() != nullptr ? value.bytes.data() : "",
                             value.bytes.size(), SQLITE_TRANSIENT) == SQLITE_OK;
}

bool database::bind(sqlite3_stmt* statement, int at, null) {
  return sqlite3_bind_null(statement, at) == SQLITE_OK;
}

database::rows::rows(rows&& other) noexcept
    : owner_(other.owner_), statement_(std::exchange(other.statement_, nullptr)) {}

database::rows::~rows() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

tl::expected<bool, diagnostic> database::rows::next() {
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return tl::unexpected(owner_.failure("write or read"));
  }
}

std::int64_t database::rows::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string database::rows::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes != nullptr
             ? std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size))
             : std::string();
}

bool database::rows::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

tl::expected<database::transaction, diagnostic> database::transaction::begin(database& data) {
  if (auto begun = data.run("BEGIN IMMEDIATE"); !begun) {
    return tl::unexpected(std::move(begun.error()));
  }
  return transaction(data);
}

database::transaction::transaction(transaction&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)) {}

database::transaction::~transaction() {
  // A full disk or an I/O error may have rolled it back already.
  if (data_ == nullptr || sqlite3_get_autocommit(data_->handle_) != 0) return;
  [[maybe_unused]] auto ignored = data_->run("ROLLBACK");
}

tl::expected<void, diagnostic> database::transaction::commit() {
  auto done = data_->run("COMMIT");
  database& data = *std::exchange(data_, nullptr);
  if (done) return done;
  if (sqlite3_get_autocommit(data.handle_) == 0) {
    [[maybe_unused]] auto ignored = data.run("ROLLBACK");
  }
  // If the write of the log was done and its sync was not, the transaction would be back after a
  // restart: something is written over it.
  const std::string over = "PRAGMA user_version=" + std::to_string(data.version_);
  sqlite3_exec(data.handle_, over.c_str(), nullptr, nullptr, nullptr);
  return done;
}

}  // namespace troupe
