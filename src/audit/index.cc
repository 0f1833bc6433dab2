#include "audit/index.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace saw::audit {
namespace {

Digest filled(uint8_t byte) {
  Digest d;
  d.fill(byte);
  return d;
}

// What one entry names, as it stands between quotation marks.
struct Named {
  std::vector<std::string_view> sessions, calls, destinations;
};

std::vector<std::string_view>* list_for(Named& named, std::string_view before) {
  if (before.ends_with("\"hostname\"") || before.ends_with("\"ip\"")) return &named.destinations;
  if (before.ends_with("\"session\"")) return &named.sessions;
  if (before.ends_with("\"call\"")) return &named.calls;
  return nullptr;
}

// A member's name, a colon, and the value's quotation mark. Inside a string that cannot stand: its quotation marks
// are escaped.
Named find_named(std::string_view entry) {
  constexpr std::string_view kMark = ":\"";  // two bytes: memmem is at its fastest
  Named named;
  const char* const end = entry.data() + entry.size();
  for (const char* at = entry.data();;) {
    at = static_cast<const char*>(::memmem(at, static_cast<size_t>(end - at), kMark.data(), kMark.size()));
    if (at == nullptr) return named;
    auto* list = list_for(named, entry.substr(0, static_cast<size_t>(at - entry.data())));
    at += kMark.size();
    if (!list || list->size() == kMaxKeysPerEntry) continue;
    const char* stop = at;
    while (stop < end && *stop != '"') stop += *stop == '\\' && stop + 1 < end ? 2 : 1;
    if (stop == end) return named;
    const std::string_view value(at, static_cast<size_t>(stop - at));
    if (!value.empty() && std::ranges::find(*list, value) == list->end()) list->push_back(value);
    at = stop;
  }
}

}  // namespace

Digest index_key(std::string_view scope, std::string_view id, std::string_view destination) {
  constexpr std::string_view kZero("\0", 1);
  return sha256({scope, kZero, id, kZero, destination});
}

std::vector<Digest> entry_keys(std::string_view entry) {
  const Named named = find_named(entry);
  std::vector<Digest> keys;
  const auto join = [&](std::string_view scope, const std::vector<std::string_view>& ids) {
    for (std::string_view id : ids)
      for (std::string_view destination : named.destinations)
        if (keys.size() < kMaxKeysPerEntry) keys.push_back(index_key(scope, id, destination));
  };
  join("session", named.sessions);
  join("call", named.calls);
  return keys;
}

Digest merkle_root(const std::vector<Digest>& leaves, size_t first, size_t end) {
  if (first == end) return sha256("");
  if (end - first == 1) return leaves[first];
  const size_t middle = first + split_of(end - first);
  return node_hash(view(merkle_root(leaves, first, middle)), view(merkle_root(leaves, middle, end)));
}

std::vector<Digest> merkle_path(const std::vector<Digest>& leaves, size_t index) {
  std::vector<Digest> path;
  for (size_t first = 0, end = leaves.size(); end - first > 1;) {
    const size_t middle = first + split_of(end - first);
    if (index < middle) {
      path.push_back(merkle_root(leaves, middle, end));
      end = middle;
    } else {
      path.push_back(merkle_root(leaves, first, middle));
      first = middle;
    }
  }
  std::ranges::reverse(path);
  return path;
}

IndexSegment::IndexSegment() : keys_{filled(0), filled(0xff)} {}

std::vector<Digest> IndexSegment::leaves() const {
  std::vector<Digest> out;
  out.reserve(keys_.size());
  for (const Digest& key : keys_) out.push_back(leaf_hash(view(key)));
  return out;
}

Digest IndexSegment::commitment() const {
  const std::vector<Digest> all = leaves();
  std::string count;
  for (int shift = 56; shift >= 0; shift -= 8) count.push_back(static_cast<char>(all.size() >> shift & 0xff));
  return sha256({count, view(merkle_root(all, 0, all.size()))});
}

std::optional<IndexGap> IndexSegment::gap(const Digest& key) const {
  auto right = keys_.lower_bound(key);
  if (right == keys_.begin() || right == keys_.end() || *right == key) return {};
  const auto left = std::prev(right);
  const std::vector<Digest> all = leaves();
  const auto at = static_cast<size_t>(std::distance(keys_.begin(), left));
  return IndexGap{.keys = all.size(),
                  .at = at,
                  .root = merkle_root(all, 0, all.size()),
                  .left = *left,
                  .right = *right,
                  .left_path = merkle_path(all, at),
                  .right_path = merkle_path(all, at + 1)};
}

LogIndex LogIndex::restore(std::vector<Digest> sealed) {
  LogIndex index;
  std::vector<HashTile> tiles;
  for (const Digest& commitment : sealed) index.tree_.add(leaf_hash(view(commitment)), tiles);
  index.sealed_ = std::move(sealed);
  return index;
}

void LogIndex::add_keys(const std::vector<Digest>& keys) {
  open_.add_keys(keys);
  if (++open_entries_ < kSegmentEntries) return;
  std::vector<HashTile> tiles;
  sealed_.push_back(open_.commitment());
  tree_.add(leaf_hash(view(sealed_.back())), tiles);
  open_ = {};
  open_entries_ = 0;
}

Digest LogIndex::root() const {
  if (open_entries_ == 0) return tree_.root();
  Tree whole = tree_;
  std::vector<HashTile> tiles;
  whole.add(leaf_hash(view(open_.commitment())), tiles);
  return whole.root();
}

}  // namespace saw::audit
