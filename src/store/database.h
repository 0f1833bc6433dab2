// A thin owner of one SQLite connection: prepared statements by their text, values bound by position, rows
// handed to a function.
//
//   Database db = SAW_TRY(Database::open(path));
//   SAW_TRY(db.run("INSERT INTO kv VALUES (?, ?)", {"name", 7}));
//   SAW_TRY(db.query("SELECT v FROM kv WHERE k = ?", {"name"}, [&](const Row& row) { v = row.integer(0); }));
//
// Errors are "store.…" with SQLite's own words. WAL and synchronous=FULL: what returned is on disk. One
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace saw::store {

// A bound value: an integer, text, or bytes. Text and bytes are borrowed until the statement has run.
class Value {
 public:
  Value(int64_t number) : number_(number) {}
  Value(uint64_t number) : number_(static_cast<int64_t>(number)) {}
  Value(int number) : number_(number) {}
  Value(std::string_view text) : kind_(Kind::text), bytes_(text) {}
  Value(const std::string& text) : kind_(Kind::text), bytes_(text) {}
  Value(const char* text) : kind_(Kind::text), bytes_(text) {}
  static Value blob(std::string_view bytes);

 private:
  friend class Database;
  enum class Kind { integer, text, blob } kind_ = Kind::integer;
  int64_t number_ = 0;
  std::string_view bytes_;
};

class Row {
 public:
  int64_t integer(int column) const;
  std::string text(int column) const;  // text or blob
  // Fills members in the order of the columns.
  template <class... T> void into(T&... member) const {
    int column = 0;
    (get(column++, member), ...);
  }

 private:
  friend class Database;
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  void get(int column, std::string& out) const { out = text(column); }
  void get(int column, bool& out) const { out = integer(column) != 0; }
  template <class T> void get(int column, T& out) const { out = static_cast<T>(integer(column)); }
  sqlite3_stmt* statement_;
};

class Database {
 public:
  static Result<Database> open(const std::string& path);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) = delete;
  ~Database();

  Result<> script(const std::string& sql);
  Result<> run(std::string_view sql, const std::vector<Value>& values = {});
  Result<> query(std::string_view sql, const std::vector<Value>& values,
                 const std::function<void(const Row&)>& each);
  int changes() const;  // rows touched by the last run()

 private:
  struct Closer {
    void operator()(sqlite3* db) const;
  };
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Database(std::unique_ptr<sqlite3, Closer> db) : db_(std::move(db)) {}
  Result<sqlite3_stmt*> prepare(std::string_view sql);
  Error failure(std::string_view doing) const;

  std::unique_ptr<sqlite3, Closer> db_;  // outlives the statements below
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalizer>> statements_;
};

}  // namespace saw::store
