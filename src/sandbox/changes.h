// What a session changed against the workspace below it, read from the layers themselves.
//
//   ChangeSources sources{.layers = {upper}, .base = fs, .below = {fs}, .mounter = Mounter::root};
//   ChangeList changes = SAW_TRY(list_changes(sources));
//   changes.root;                                     // what a review and a commit are bound to
//
// Added, changed, deleted (each entry of a deleted tree), with type, mode, size, user.* attributes, link
// targets and the digest of every content on both sides. A file that was opened for writing and left as it
// was is no change: contents are compared. Renames: overlayfs records none (redirect_dir is off), so an added
// file is paired with a deleted one of equal size and digest (ChangeRecord::renamed_from).
//
// All directories are full of an agent's bytes: every step goes by directory descriptor and follows no link,
// names are bytes, and the walk is bounded by kMaxChanges, kMaxPathBytes of names, kMaxVisited entries looked
// at, kMaxDepth levels and kMaxHashedBytes of content. Past a bound `complete` is false, `limit` says which,
// and there is no root: such a session can be looked at and discarded, not committed. For a root that means
// something the layers must be at rest; a file that changes meanwhile is left out, and `complete` is false.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "sandbox/change_record.h"
#include "sandbox/tree_files.h"

namespace saw::sandbox {

enum class Mounter : uint8_t {
  root,
  user
};  // who mounted the overlay: decides which extended attributes count

struct ChangeSources {
  std::vector<Fd> layers;  // of the session, top first
  Fd base;                 // what it is compared with: the workspace's tree as one directory
  std::vector<Fd> below;   // the layers that tree is made of, top first
  Mounter mounter = Mounter::root;
};

struct ChangeList {
  std::vector<ChangeRecord> changes;  // sorted by path, bytewise
  bool complete = true;
  std::string limit;           // the bound that was met: "more than 100000 changes"
  std::optional<Digest> root;  // of a complete list
};

constexpr size_t kMaxPathBytes = 8u << 20;  // of names and link targets: leaves room in one message
constexpr size_t kMaxVisited = 300'000;
constexpr uint64_t kMaxHashedBytes = uint64_t{16} << 30;

Result<ChangeList> list_changes(const ChangeSources& sources);

}  // namespace saw::sandbox
