#include "audit/tree.h"

namespace saw::audit {
namespace {

// The root of a perfect subtree over `count` (a power of two) concatenated hashes.
Digest perfect_root(std::string_view hashes, size_t count) {
  if (count == 1) {
    Digest d;
    hashes.copy(reinterpret_cast<char*>(d.data()), kHashSize);
    return d;
  }
  const size_t half = count / 2;
  Digest left = perfect_root(hashes.substr(0, half * kHashSize), half);
  Digest right = perfect_root(hashes.substr(half * kHashSize), half);
  return node_hash(view(left), view(right));
}

}  // namespace

Digest leaf_hash(std::string_view entry) {
  return sha256({std::string_view("\0", 1), entry});
}

Digest node_hash(std::string_view left, std::string_view right) {
  return sha256({std::string_view("\1", 1), left, right});
}

Result<Tree> Tree::restore(uint64_t size, std::vector<std::string> levels) {
  if (levels.size() > kMaxLevels)
    return Error::make("audit.tree", "{} levels of hashes are too many", levels.size());
  Tree tree;
  tree.size_ = size;
  for (size_t l = kMaxLevels; l-- > 0;) {
    const uint64_t expected = (size >> (8 * l)) % kTileWidth;
    std::string_view hashes = l < levels.size() ? std::string_view(levels[l]) : std::string_view();
    if (hashes.size() != expected * kHashSize)
      return Error::make("audit.tree", "level {} has {} bytes of hashes, a tree of {} entries needs {}", l,
                         hashes.size(), size, expected * kHashSize);
    for (size_t count = kTileWidth / 2; count > 0; count /= 2) {
      if ((expected & count) == 0) continue;
      tree.peaks_.push_back(perfect_root(hashes.substr(0, count * kHashSize), count));
      hashes.remove_prefix(count * kHashSize);
    }
  }
  tree.levels_ = std::move(levels);
  return tree;
}

void Tree::add(const Digest& leaf, std::vector<HashTile>& completed) {
  if (levels_.empty()) levels_.emplace_back();
  levels_[0] += view(leaf);
  Digest node = leaf;
  size_t height = 0;
  for (uint64_t digits = size_++; (digits & 1) != 0; digits >>= 1) {
    node = node_hash(view(peaks_.back()), view(node));
    peaks_.pop_back();
    if (++height % 8 != 0) continue;
    const size_t full = height / 8 - 1;
    if (levels_.size() <= full + 1) levels_.emplace_back();
    completed.push_back({full, (size_ >> height) - 1, std::exchange(levels_[full], {})});
    levels_[full + 1] += view(node);
  }
  peaks_.push_back(node);
}

Digest Tree::root() const {
  if (peaks_.empty()) return sha256("");
  Digest root = peaks_.back();
  for (size_t i = peaks_.size() - 1; i-- > 0;) root = node_hash(view(peaks_[i]), view(root));
  return root;
}

}  // namespace saw::audit
