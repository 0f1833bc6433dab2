// The embedded Store: one SQLite file in WAL mode, strict tables, migrated step by step (PRAGMA
// user_version).
//
// A file written by a newer program is refused ("store.too_new"), never guessed at.
#pragma once

#include "store/store.h"

namespace saw::store {

class SqliteStore {
 public:
  static Result<std::unique_ptr<Store>> open(const std::string& path);
};

}  // namespace saw::store
