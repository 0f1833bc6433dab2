// One path that a layer changed against what lies below it, and the Merkle root over all of them: what a
// person reviews, and what a commit is bound to.
//
//   Digest root = merkle_root(changes.changes);      // of records sorted by path, bytewise
//   digest_text(root);                               // "sha256:…", shown by `saw session diff`
//
// The root is the Merkle tree hash of RFC 6962 §2.1 (SHA-256: leaves 0x00 ‖ record, nodes 0x01 ‖ left ‖
// right; SHA-256 of nothing for no change) over the canonical records. A record is, with integers big-endian
// and every text preceded by its length as u32:
//
//   "saw.change.v1" ‖ path ‖ u8 kind ‖ state before ‖ state after
//   state:  u8 0 (not there), or  u8 1 ‖ u8 type ‖ u32 mode (07777) ‖ u64 size ‖ content ‖ attributes
//   content:     32 bytes: SHA-256 of a file's bytes or of a link's target; zero for anything else
//   attributes:  32 bytes: SHA-256 over name ‖ value of each user.* attribute, sorted by name; zero for none
//
// Names, content, modes and attributes are all that counts: the same edits give the same root, whenever and
// in whatever order they were made. Times, owners and whether a change reads as a rename are no part of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "sandbox/node_protocol.h"

namespace saw::sandbox {

// What lies at a path.
struct FileState {
  FileType type = FileType::file;
  uint32_t mode = 0;  // 07777
  uint64_t size = 0;  // of a file's bytes or a link's target; 0 for anything else
  Digest content{};   // see above
  Digest attributes{};
  std::string target;  // of a link; part of `content`
  bool operator==(const FileState&) const = default;
};

struct ChangeRecord {
  ChangeKind kind = ChangeKind::added;
  std::string path;  // absolute in the tree: "/workspace/a"; bytes of the agent's choosing
  std::optional<FileState> before, after;
  // An added file with the bytes of one that was deleted (overlayfs records no renames, so content and size
  // decide). Empty: nothing like it was deleted.
  std::string renamed_from;

  // For whoever carries the change out; no part of the record's digest.
  size_t layer = 0;             // which of the layers holds `after`
  Nanos below_changed = 0;      // ctime of what lies below at this path
  Nanos directory_changed = 0;  // ctime of the directory below that holds it; 0: there is none
  bool copied_up = false;       // `after` began as a copy of something below
  bool below_linked = false;    // what lies below has other names, too: its ctime is not its own
  bool moved_below = false;     // a directory above it is not the one below that it was copied from
};

std::string canonical_record(const ChangeRecord& record);
Digest merkle_root(std::span<const ChangeRecord> sorted);

}  // namespace saw::sandbox
