// The index of the log: who had to do with which destination, in a form in which absence can be proved. Every
// kSegmentEntries entries are a segment; a segment's keys, sorted and each once, are the leaves of a Merkle tree,
// and the segments' commitments are the leaves of another, whose root each published checkpoint carries.
//
//   LogIndex index;
//   index.add(entry);                                // every entry, in order
//   index.root();                                    // over all entries so far, the last segment included
//   std::vector<Digest> keys = entry_keys(entry);    // each (scope, id) of the entry with each destination
//   Digest key = index_key("session", "ss-1", "evil.example");
//   segment.gap(key)                                 // the neighbours between which the key is missing
//
// What counts is written in docs/audit.md, by the bytes of an entry and nothing else, so that anybody can
// recompute it: it never misses a string that the entry names as session, call, hostname or ip, and may find one
// too many, which can only keep an absence from being proved. Pure: no I/O. Memory is one segment's keys and 32
// bytes per finished segment.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "audit/tree.h"

namespace saw::audit {

constexpr uint64_t kSegmentEntries = 4096;
constexpr size_t kMaxKeysPerEntry = 64;

// SHA-256(scope ‖ 0 ‖ id ‖ 0 ‖ destination), the texts as JSON writes them inside quotation marks.
Digest index_key(std::string_view scope, std::string_view id, std::string_view destination);
// Total on any bytes. The first kMaxKeysPerEntry of them; what sawd takes from less trusted programs has fewer
// (control/event_check.h), and what it writes itself has two.
std::vector<Digest> entry_keys(std::string_view entry);

// The root of leaves, and the audit path of one of them (RFC 6962 §2.1, §2.1.1).
Digest merkle_root(const std::vector<Digest>& leaves, size_t first, size_t end);
std::vector<Digest> merkle_path(const std::vector<Digest>& leaves, size_t index);

// Two keys that follow one another in a segment, with another between them.
struct IndexGap {
  uint64_t keys = 0, at = 0;  // leaves of the segment; the left one's position
  Digest root{}, left{}, right{};
  std::vector<Digest> left_path, right_path;
};

class IndexSegment {
 public:
  IndexSegment();
  void add(std::string_view entry) { add_keys(entry_keys(entry)); }
  void add_keys(const std::vector<Digest>& keys) { keys_.insert(keys.begin(), keys.end()); }
  Digest commitment() const;  // SHA-256(number of keys, 64 bits big-endian ‖ root of the keys' leaf hashes)
  bool contains(const Digest& key) const { return keys_.contains(key); }
  std::optional<IndexGap> gap(const Digest& key) const;  // nullopt: it is there

 private:
  std::vector<Digest> leaves() const;
  std::set<Digest> keys_;  // and the two that are below and above all others
};

class LogIndex {
 public:
  void add(std::string_view entry) { add_keys(entry_keys(entry)); }
  void add_keys(const std::vector<Digest>& keys);  // entry_keys() of the next entry
  uint64_t size() const { return sealed_.size() * kSegmentEntries + open_entries_; }
  Digest root() const;
  // Of finished segments. restore() takes them back; the entries after them are to be added again.
  const std::vector<Digest>& sealed() const { return sealed_; }
  static LogIndex restore(std::vector<Digest> sealed);

 private:
  std::vector<Digest> sealed_;
  Tree tree_;
  IndexSegment open_;
  uint64_t open_entries_ = 0;
};

}  // namespace saw::audit
