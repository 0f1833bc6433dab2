// The regular files behind a list of changes, opened by descriptor when somebody asks for their bytes.
//
//   ChangedFiles files(sources);
//   Fd old = SAW_TRY(files.before(change)), now = SAW_TRY(files.after(change));
//
// What is no longer there is "changes.moved". The sources are borrowed.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "sandbox/changes.h"
#include "sandbox/tree_files.h"

namespace saw::sandbox {

class ChangedFiles {
 public:
  explicit ChangedFiles(const ChangeSources& sources) : below_(sources.base.get()) {
    for (const Fd& layer : sources.layers) above_.emplace_back(layer.get());
  }
  Result<Fd> before(const ChangeRecord& change) { return open(below_, change); }
  Result<Fd> after(const ChangeRecord& change) { return open(above_.at(change.layer), change); }

 private:
  static Result<Fd> open(TreeCursor& cursor, const ChangeRecord& change) {
    const auto place = SAW_TRY(cursor.find(change.path));
    if (!place) return Error::make("changes.moved", "'{}' is gone", printable(change.path));
    return open_regular(place->directory, place->name);
  }
  TreeCursor below_;
  std::vector<TreeCursor> above_;
};

}  // namespace saw::sandbox
