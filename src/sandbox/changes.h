// What a layer changed against the layer below it, read from the layers themselves.
//
//   ChangeList changes = SAW_TRY(list_changes(std::move(upper), std::move(lower), Mounter::root));
//
// Both directories are full of an agent's bytes: every step goes by directory descriptor and follows no link,
// names are bytes, and the walk is bounded by kMaxChanges changes, kMaxPathBytes of names, kMaxVisited
// entries looked at and kMaxDepth levels; past a bound the list is marked incomplete. A file that was opened
// for writing and left as it was counts as changed (overlayfs copied it up).
#pragma once

#include <vector>

#include "base/fd.h"
#include "sandbox/node_protocol.h"

namespace saw::sandbox {

enum class Mounter : uint8_t {
  root,
  user
};  // who mounted the overlay: decides which extended attributes count

struct ChangeList {
  std::vector<Change> changes;  // sorted by path, bytewise
  bool complete = true;
};

constexpr size_t kMaxPathBytes = 12u << 20;  // leaves room in one message
constexpr size_t kMaxVisited = 300'000;
constexpr size_t kMaxDepth = 128;  // two descriptors each

Result<ChangeList> list_changes(Fd upper, Fd lower, Mounter mounter);

}  // namespace saw::sandbox
