#include "store/database.h"

#include <sqlite3.h>

namespace saw::store {
namespace {

constexpr int kBusyTimeoutMs = 2000;

// A statement goes back to its unbound, unstarted form whatever happened.
struct Reset {
  sqlite3_stmt* statement;
  ~Reset() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

}  // namespace

Value Value::blob(std::string_view bytes) {
  Value value(bytes);
  value.kind_ = Kind::blob;
  return value;
}

int64_t Row::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string Row::text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  size_t size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return data ? std::string(static_cast<const char*>(data), size) : std::string();
}

void Database::Closer::operator()(sqlite3* db) const {
  sqlite3_close_v2(db);
}
void Database::Finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}
Database::Database(Database&&) noexcept = default;
Database::~Database() = default;

Error Database::failure(std::string_view doing) const {
  const bool full = sqlite3_errcode(db_.get()) == SQLITE_FULL;
  if (full) return Error{"store.full", "the disk that SAW keeps its state on is full", 0};
  return Error{"store.failed", fmt::format("{}: {}", doing, sqlite3_errmsg(db_.get())), 0};
}

Result<Database> Database::open(const std::string& path) {
  sqlite3* raw = nullptr;
  int status = sqlite3_open_v2(path.c_str(), &raw,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database db{std::unique_ptr<sqlite3, Closer>(raw)};
  if (status != SQLITE_OK) return std::unexpected(db.failure(fmt::format("opening '{}'", path)));
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  SAW_TRY(
      db.script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA "
                "trusted_schema=OFF; PRAGMA temp_store=MEMORY;"));
  return db;
}

Result<> Database::script(const std::string& sql) {
  if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return std::unexpected(failure("running a script"));
  return {};
}

Result<sqlite3_stmt*> Database::prepare(std::string_view sql) {
  auto [slot, fresh] = statements_.try_emplace(std::string(sql));
  if (!fresh) return slot->second.get();
  sqlite3_stmt* statement = nullptr;
  int status = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                                  SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (status != SQLITE_OK) {
    statements_.erase(slot);
    return std::unexpected(failure(fmt::format("preparing '{}'", sql)));
  }
  slot->second.reset(statement);
  return statement;
}

Result<> Database::run(std::string_view sql, const std::vector<Value>& values) {
  return query(sql, values, [](const Row&) {});
}

Result<> Database::query(std::string_view sql, const std::vector<Value>& values,
                         const std::function<void(const Row&)>& each) {
  sqlite3_stmt* statement = SAW_TRY(prepare(sql));
  Reset reset{statement};
  SAW_CHECK(static_cast<size_t>(sqlite3_bind_parameter_count(statement)) == values.size(),
            "'{}' wants other values", sql);
  for (int i = 1; const Value& value : values) {
    const int size = static_cast<int>(value.bytes_.size());
    int status = SQLITE_OK;
    switch (value.kind_) {
      case Value::Kind::integer:
        status = sqlite3_bind_int64(statement, i, value.number_);
        break;
      case Value::Kind::text:
        status = sqlite3_bind_text(statement, i, size ? value.bytes_.data() : "", size, SQLITE_STATIC);
        break;
      case Value::Kind::blob:
        status = sqlite3_bind_blob(statement, i, size ? value.bytes_.data() : "", size, SQLITE_STATIC);
        break;
    }
    if (status != SQLITE_OK) return std::unexpected(failure(fmt::format("binding value {} of '{}'", i, sql)));
    ++i;
  }
  for (;;) {
    int status = sqlite3_step(statement);
    if (status == SQLITE_DONE) return {};
    if (status != SQLITE_ROW) return std::unexpected(failure(fmt::format("running '{}'", sql)));
    each(Row(statement));
  }
}

int Database::changes() const {
  return sqlite3_changes(db_.get());
}

}  // namespace saw::store
