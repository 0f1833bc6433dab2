// Reading a directory tree that an agent filled: by directory descriptor, following no link, with bounds.
//
//   TreeCursor cursor(tree.get());
//   Place place = SAW_TRY(cursor.find("/workspace/a"));   // place.directory holds place.name
//   FileState state = SAW_TRY(state_of(place.directory, place.name, info, budget));
//
// A path is walked component by component from the tree's root, so that one longer than PATH_MAX works and
// nothing on the way can be a link. The cursor keeps the directories of the last path open: paths in sorted
// order cost one openat each.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

#include "base/fd.h"
#include "sandbox/change_record.h"

namespace saw::sandbox {

constexpr size_t kMaxDepth = 128;  // of a tree that is read: a few descriptors a level

FileType type_of(mode_t mode);
Nanos changed_at(const struct stat& info);  // ctime: the kernel's, and nobody else can set it

// nullopt: nothing there (or nothing that can be looked at).
std::optional<struct stat> look_at(int directory, const std::string& name);

// How many bytes may still be read for digests.
struct Budget {
  uint64_t bytes = 0;
};
// Of what `info` says lies at `name`. "changes.too_large" once the budget is spent; "changes.moved" if it is
// no longer what `info` says.
Result<FileState> state_of(int directory, const std::string& name, const struct stat& info, Budget& budget);

// The regular file `name`, for reading. "changes.moved" if it is none (any more).
Result<Fd> open_regular(int directory, const std::string& name);

// The names on the way to `path`, which is absolute in a tree and not "/". "changes.bad_path".
Result<std::vector<std::string_view>> path_parts(std::string_view path);

class TreeCursor {
 public:
  explicit TreeCursor(int root) : root_(root) {}
  struct Place {
    int directory = -1;  // borrowed: until the next find()
    std::string name;
  };
  // `path` is absolute in the tree, and not "/". nullopt: a directory on the way is missing, or is something
  // else than a directory.
  Result<std::optional<Place>> find(std::string_view path);
  // Forget open directories: something on the way was replaced.
  void reset() { open_.clear(); }

 private:
  struct Step {
    std::string name;
    Fd directory;
  };
  int root_;
  std::vector<Step> open_;
};

}  // namespace saw::sandbox
