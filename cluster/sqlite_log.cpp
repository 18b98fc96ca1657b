// SPDX-License-Identifier: Apache-2.0
#include "cluster/sqlite_log.hpp"

#include <sqlite3.h>

#include <cassert>
#include <system_error>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr int application_id = 0x74726c67;  // "trlg"
constexpr int schema_version = 1;
constexpr int busy_ms = 5000;
/// One row of `place`: where the snapshot stands, and after which change the log begins.
constexpr const char* schema = R"(
  CREATE TABLE changes (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
  CREATE TABLE place (one INTEGER PRIMARY KEY CHECK (one = 1), cut INTEGER NOT NULL,
                      snapshot_epoch INTEGER NOT NULL, snapshot_seq INTEGER NOT NULL,
                      snapshot_state BLOB NOT NULL, snapshot BLOB);
  INSERT INTO place VALUES (1, 0, 0, 0, zeroblob(32), NULL);
  CREATE TABLE aside (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
)";
/// Came later; a troupe that does not know them leaves them alone.
constexpr const char* more_tables = R"(
  CREATE TABLE IF NOT EXISTS outcomes (number INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS lost (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL);
)";
constexpr std::uint64_t outcomes_kept = 200;

}  // namespace

struct sqlite_log::impl {
  explicit impl(std::string file) : path(std::move(file)) {}
  ~impl() { sqlite3_close(handle); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  std::string path;
  sqlite3* handle = nullptr;
  position head;
  std::uint64_t cut = 0;
  std::uint64_t snapshot_seq = 0;
  bool has_snapshot = false;

  [[nodiscard]] tl::unexpected<refusal> damaged(const std::string& why) const {
    return tl::unexpected(
        refusal{.errc = refusal_errc::damaged,
                .reason = "the database \"" + path + "\" is damaged: " + why +
                          "; stop the node, move it away with its -wal and start again: the node "
                          "fetches the history from its controller (on a controller, put a backup "
                          "in place, or promote another node first)",
                .file = path});
  }

  [[nodiscard]] tl::unexpected<refusal> failure(std::string_view what) const {
    const int code = sqlite3_extended_errcode(handle);
    const int number = sqlite3_system_errno(handle);
    const int primary = code & 0xff;
    std::string why = sqlite3_errmsg(handle);
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) return damaged(why);
    if (number != 0 && primary != SQLITE_BUSY) {
      why += " (" + std::to_string(number) + ": " + std::generic_category().message(number) + ')';
    }
    if (primary == SQLITE_BUSY) why += "; another program has it locked";
    if (primary == SQLITE_FULL) why += "; make room on the disk of the data folder";
    return tl::unexpected(refusal{.errc = refusal_errc::io,
                                  .reason = std::string(what) + " \"" + path + "\" failed: " + why,
                                  .file = path});
  }

  [[nodiscard]] tl::expected<void, refusal> run(const char* sql) const {
    if (sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return failure("write to");
  }

  /// A statement that ends with its scope.
  class statement {
   public:
    statement(const impl& owner, const char* sql) {
      if (sqlite3_prepare_v2(owner.handle, sql, -1, &at_, nullptr) != SQLITE_OK) at_ = nullptr;
    }
    statement(const statement&) = delete;
    statement& operator=(const statement&) = delete;
    ~statement() { sqlite3_finalize(at_); }

    statement& bind(int column, std::uint64_t value) {
      if (at_ != nullptr) sqlite3_bind_int64(at_, column, static_cast<sqlite3_int64>(value));
      return *this;
    }
    statement& bind(int column, std::string_view bytes) {
      if (at_ != nullptr) {
        sqlite3_bind_blob64(at_, column, bytes.data() != nullptr ? bytes.data() : "", bytes.size(),
                            SQLITE_STATIC);
      }
      return *this;
    }
    int step() { return at_ != nullptr ? sqlite3_step(at_) : SQLITE_ERROR; }
    void reset() {
      if (at_ != nullptr) sqlite3_reset(at_);
    }
    [[nodiscard]] std::uint64_t number(int column) const {
      return static_cast<std::uint64_t>(sqlite3_column_int64(at_, column));
    }
    [[nodiscard]] std::string_view bytes(int column) const {
      const void* data = sqlite3_column_blob(at_, column);
      const int size = sqlite3_column_bytes(at_, column);
      return data != nullptr
                 ? std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(size))
                 : std::string_view();
    }
    [[nodiscard]] bool is_null(int column) const {
      return sqlite3_column_type(at_, column) == SQLITE_NULL;
    }

   private:
    sqlite3_stmt* at_ = nullptr;
  };

  /// All that `what` writes, or nothing.
  template <class Function>
  [[nodiscard]] tl::expected<void, refusal> transaction(Function what) const {
    if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun;
    tl::expected<void, refusal> result = what();
    if (result) result = run("COMMIT");
    if (result) return result;
    if (sqlite3_get_autocommit(handle) == 0) {
      sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    // If the write of the log was done and its sync was not, the transaction would be back after a
    // restart: something is written over it.
    const std::string over = "PRAGMA user_version=" + std::to_string(schema_version);
    sqlite3_exec(handle, over.c_str(), nullptr, nullptr, nullptr);
    return result;
  }

  /// Those that follow `at`, which moves on with them.
  [[nodiscard]] tl::expected<void, refusal> insert(const std::vector<change>& next,
                                                   position& at) const {
    statement row(*this, "INSERT INTO changes VALUES (?, ?)");
    for (const change& one : next) {
      if (one.seq != at.seq + 1 || one.parent != at.state) {
        return tl::unexpected(refusal{.errc = refusal_errc::conflict,
                                      .reason = "change " + std::to_string(one.seq) +
                                                " does not follow the log's last, " +
                                                std::to_string(at.seq)});
      }
      const std::string bytes = one.encode();
      row.bind(1, one.seq).bind(2, bytes);
      if (row.step() != SQLITE_DONE) return failure("write to");
      row.reset();
      at = one.after();
    }
    return {};
  }

  [[nodiscard]] tl::expected<void, refusal> place(std::uint64_t begins_after, const position& at,
                                                  const std::string_view* snapshot) const {
    statement row(*this,
                  "UPDATE place SET cut = ?, snapshot_epoch = ?, snapshot_seq = ?, "
                  "snapshot_state = ?, snapshot = ? WHERE one = 1");
    row.bind(1, begins_after).bind(2, at.epoch).bind(3, at.seq).bind(4, at.state.raw());
    if (snapshot != nullptr) row.bind(5, *snapshot);
    if (row.step() != SQLITE_DONE) return failure("write to");
    return {};
  }

  [[nodiscard]] tl::expected<std::uint64_t, refusal> number(const char* sql) const {
    statement asked(*this, sql);
    if (asked.step() != SQLITE_ROW) return failure("read");
    return asked.number(0);
  }

  [[nodiscard]] tl::expected<void, refusal> begin() {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path.c_str(), &handle, flags, nullptr) != SQLITE_OK) return failure("open");
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, busy_ms);
    const auto tables = number("SELECT count(*) FROM sqlite_schema");
    if (!tables) return tl::unexpected(tables.error());
    const auto version = number("PRAGMA user_version");
    const auto application = number("PRAGMA application_id");
    if (!version) return tl::unexpected(version.error());
    if (!application) return tl::unexpected(application.error());
    if (*tables != 0 && *application != application_id) {
      return tl::unexpected(refusal{.errc = refusal_errc::unsupported,
                                    .reason = '"' + path +
                                              "\" is a database of another program; --data DIR "
                                              "names another folder",
                                    .file = path});
    }
    if (*tables != 0 && *version != schema_version) {
      return tl::unexpected(
          refusal{.errc = refusal_errc::unsupported,
                  .reason = "the database \"" + path +
                            "\" was written by a newer troupe: its schema is version " +
                            std::to_string(*version) + ", this troupe knows " +
                            std::to_string(schema_version) +
                            "; run that troupe, or give this one another --data folder",
                  .file = path});
    }
    for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"}) {
      if (auto done = run(sql); !done) return done;
    }
    if (*tables == 0) {
      const std::string script = std::string(schema) +
                                 "PRAGMA user_version=" + std::to_string(schema_version) +
                                 ";PRAGMA application_id=" + std::to_string(application_id);
      if (auto made = transaction([&] { return run(script.c_str()); }); !made) return made;
      return run(more_tables);
    }
    if (auto fine = check(); !fine) return fine;
    if (auto made = run(more_tables); !made) return made;
    return load();
  }

  [[nodiscard]] tl::expected<void, refusal> check() const {
    statement asked(*this, "PRAGMA quick_check(1)");
    if (asked.step() != SQLITE_ROW) return failure("check");
    if (asked.bytes(0) != "ok") return damaged(std::string(asked.bytes(0)));
    return {};
  }

  /// Where the log stands; that its changes follow one another is seen here, not at the first push.
  [[nodiscard]] tl::expected<void, refusal> load() {
    {
      statement place(*this,
                      "SELECT cut, snapshot_epoch, snapshot_seq, snapshot_state, snapshot IS NULL "
                      "FROM place WHERE one = 1");
      if (place.step() != SQLITE_ROW) return damaged("its place is not in it");
      const auto state = digest::from_bytes(place.bytes(3));
      if (!state) return damaged("its snapshot has no digest");
      cut = place.number(0);
      has_snapshot = place.number(4) == 0;
      snapshot_seq = place.number(2);
      head = position{place.number(1), snapshot_seq, *state};
    }
    std::uint64_t seq = cut;
    std::optional<position> last;
    statement rows(*this, "SELECT seq, bytes FROM changes ORDER BY seq");
    int code = rows.step();
    for (; code == SQLITE_ROW; code = rows.step()) {
      const auto one = change::decode(rows.bytes(1));
      if (!one) {
        return damaged("change " + std::to_string(rows.number(0)) + ": " + one.error().reason);
      }
      if (one->seq != ++seq || rows.number(0) != seq || (last && one->parent != last->state)) {
        return damaged("change " + std::to_string(seq) + " is missing or does not fit");
      }
      last = one->after();
      if (seq == snapshot_seq && has_snapshot && *last != head) {
        return damaged("its snapshot is not of its changes");
      }
    }
    if (code != SQLITE_DONE) return failure("read");
    if (last && last->seq >= head.seq) head = *last;
    return {};
  }
};

sqlite_log::sqlite_log(std::unique_ptr<impl> data) : impl_(std::move(data)) {}
sqlite_log::~sqlite_log() = default;

tl::expected<std::unique_ptr<sqlite_log>, refusal> sqlite_log::open(const std::string& path) {
  auto data = std::make_unique<impl>(path);
  if (auto begun = data->begin(); !begun) return tl::unexpected(std::move(begun.error()));
  return std::unique_ptr<sqlite_log>(new sqlite_log(std::move(data)));
}

position sqlite_log::head() const {
  return impl_->head;
}

std::uint64_t sqlite_log::begins_after() const {
  return impl_->cut;
}

void sqlite_log::append(const change& next, appended done) {
  done(append_all({next}));
}

tl::expected<void, refusal> sqlite_log::append_all(const std::vector<change>& next) {
  impl& data = *impl_;
  position at = data.head;
  auto written = data.transaction([&] { return data.insert(next, at); });
  if (written) data.head = at;
  return written;
}

tl::expected<std::vector<change>, refusal> sqlite_log::read(std::uint64_t after_seq,
                                                            std::size_t max_bytes) const {
  const impl& data = *impl_;
  if (after_seq < data.cut) {
    return tl::unexpected(
        refusal{.errc = refusal_errc::missing,
                .reason = "the log begins after change " + std::to_string(data.cut)});
  }
  std::vector<change> result;
  std::size_t bytes = 0;
  impl::statement rows(data, "SELECT bytes FROM changes WHERE seq > ? ORDER BY seq");
  rows.bind(1, after_seq);
  int code = rows.step();
  for (; code == SQLITE_ROW; code = rows.step()) {
    bytes += rows.bytes(0).size();
    if (bytes > max_bytes && !result.empty()) return result;
    auto one = change::decode(rows.bytes(0));
    if (!one) return data.damaged(one.error().reason);
    result.push_back(*std::move(one));
  }
  if (code != SQLITE_DONE) return data.failure("read");
  return result;
}

tl::expected<std::optional<std::string>, refusal> sqlite_log::snapshot() const {
  impl::statement row(*impl_, "SELECT snapshot FROM place WHERE one = 1");
  if (row.step() != SQLITE_ROW) return impl_->failure("read");
  if (row.is_null(0)) return std::optional<std::string>();
  return std::optional<std::string>(row.bytes(0));
}

tl::expected<void, refusal> sqlite_log::keep_snapshot(const position& at, std::string_view bytes) {
  impl& data = *impl_;
  std::uint64_t cut = data.cut;
  if (data.has_snapshot && data.snapshot_seq > cut) cut = data.snapshot_seq;
  auto written = data.transaction([&]() -> tl::expected<void, refusal> {
    if (auto placed = data.place(cut, at, &bytes); !placed) return placed;
    impl::statement drop(data, "DELETE FROM changes WHERE seq <= ?");
    drop.bind(1, cut);
    if (drop.step() != SQLITE_DONE) return data.failure("write to");
    return {};
  });
  if (!written) return written;
  data.cut = cut;
  data.snapshot_seq = at.seq;
  data.has_snapshot = true;
  return {};
}

tl::expected<void, refusal> sqlite_log::replace(const position& at, std::string_view bytes,
                                                const std::vector<change>& since,
                                                const std::vector<change>& lost) {
  impl& data = *impl_;
  position head = at;
  auto written = data.transaction([&]() -> tl::expected<void, refusal> {
    impl::statement aside(data, "INSERT INTO aside (bytes) VALUES (?)");
    for (const change& one : lost) {
      const std::string encoded = one.encode();
      aside.bind(1, encoded);
      if (aside.step() != SQLITE_DONE) return data.failure("write to");
      aside.reset();
    }
    if (auto done = data.run("DELETE FROM changes"); !done) return done;
    if (auto placed = data.place(at.seq, at, bytes.empty() ? nullptr : &bytes); !placed) {
      return placed;
    }
    return data.insert(since, head);
  });
  if (!written) return written;
  data.cut = at.seq;
  data.snapshot_seq = at.seq;
  data.has_snapshot = !bytes.empty();
  data.head = head;
  return {};
}

tl::expected<std::vector<change>, refusal> sqlite_log::aside() const {
  std::vector<change> result;
  impl::statement rows(*impl_, "SELECT bytes FROM aside ORDER BY number");
  int code = rows.step();
  for (; code == SQLITE_ROW; code = rows.step()) {
    auto one = change::decode(rows.bytes(0));
    if (!one) return impl_->damaged(one.error().reason);
    result.push_back(*std::move(one));
  }
  if (code != SQLITE_DONE) return impl_->failure("read");
  return result;
}

tl::expected<void, refusal> sqlite_log::keep_outcome(std::string_view bytes) {
  const impl& data = *impl_;
  return data.transaction([&]() -> tl::expected<void, refusal> {
    impl::statement row(data, "INSERT INTO outcomes (bytes) VALUES (?)");
    row.bind(1, bytes);
    if (row.step() != SQLITE_DONE) return data.failure("write to");
    impl::statement drop(data,
                         "DELETE FROM outcomes WHERE number <= (SELECT max(number) FROM outcomes) - ?");
    drop.bind(1, outcomes_kept);
    if (drop.step() != SQLITE_DONE) return data.failure("write to");
    return {};
  });
}

tl::expected<std::vector<std::string>, refusal> sqlite_log::outcomes() const {
  std::vector<std::string> result;
  impl::statement rows(*impl_, "SELECT bytes FROM outcomes ORDER BY number");
  int code = rows.step();
  for (; code == SQLITE_ROW; code = rows.step()) result.emplace_back(rows.bytes(0));
  if (code != SQLITE_DONE) return impl_->failure("read");
  return result;
}

tl::expected<void, refusal> sqlite_log::keep_lost_epoch(std::uint64_t epoch) {
  impl::statement row(*impl_, "INSERT OR REPLACE INTO lost VALUES (1, ?)");
  row.bind(1, epoch);
  if (row.step() != SQLITE_DONE) return impl_->failure("write to");
  return {};
}

tl::expected<std::uint64_t, refusal> sqlite_log::lost_epoch() const {
  impl::statement row(*impl_, "SELECT epoch FROM lost WHERE one = 1");
  const int code = row.step();
  if (code == SQLITE_DONE) return 0;
  if (code != SQLITE_ROW) return impl_->failure("read");
  return row.number(0);
}

}  // namespace troupe::cluster
