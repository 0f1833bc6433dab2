// The Merkle tree of the audit log (RFC 6962 §2.1, SHA-256), grown one leaf at a time, in the portions in
// which it is stored: tiles of 256 hashes (c2sp.org/tlog-tiles). Level 0 holds leaf hashes, level L the
// hashes of complete subtrees of 256^L leaves.
//
//   Tree tree;
//   std::vector<HashTile> completed;
//   tree.add(leaf_hash("entry"), completed);      // `completed` gets every tile that became full
//   tree.root();  tree.level(0);                  // the root; the hashes of the incomplete tile of level 0
//
// Pure: no I/O. Memory and the cost of root() are logarithmic in the size.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"

namespace saw::audit {

constexpr size_t kTileWidth = 256, kHashSize = 32;
constexpr size_t kMaxLevels = 8;  // 256^8 leaves: all that a 64-bit index can name

Digest leaf_hash(std::string_view entry);                         // SHA-256(0x00 ‖ entry)
Digest node_hash(std::string_view left, std::string_view right);  // SHA-256(0x01 ‖ left ‖ right)

// RFC 6962 §2.1: where a tree of so many leaves, at least two, splits: the largest power of two below.
constexpr uint64_t split_of(uint64_t count) {
  return std::bit_floor(count - 1);
}

struct HashTile {
  size_t level = 0;
  uint64_t index = 0;
  std::string hashes;  // kTileWidth × kHashSize bytes
};

class Tree {
 public:
  Tree() = default;
  // From what level(0), level(1), … returned at `size`. Errors when their lengths do not fit `size`.
  static Result<Tree> restore(uint64_t size, std::vector<std::string> levels);

  void add(const Digest& leaf, std::vector<HashTile>& completed);

  uint64_t size() const { return size_; }
  Digest root() const;  // SHA-256 of nothing when empty
  // The hashes of the incomplete tile at `level`, concatenated; empty when the level ends with a full tile or
  // does not exist.
  std::string_view level(size_t level) const {
    return level < levels_.size() ? std::string_view(levels_[level]) : std::string_view();
  }
  const std::vector<std::string>& levels() const { return levels_; }

 private:
  uint64_t size_ = 0;
  std::vector<std::string> levels_;
  std::vector<Digest> peaks_;  // roots of the perfect subtrees that size_'s binary digits name, largest first
};

}  // namespace saw::audit
