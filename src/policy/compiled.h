// What Policy holds: the document, and the indexes that make deciding quicker than reading it.
//
//   host ─▶ HostIndex: exact names by hash; globs by hash of their literal tail ("example.com" of
//   "*.example.com")
//        ─▶ port      (sorted within each bucket)
//        ─▶ entry     ─▶ RuleIndex: rules by hash of the literal head of their globs ("/repos" of "/repos/*/issues")
//
// Both indexes look at as many prefixes or suffixes of the text as the policy has depths, so that a long path
// costs no more than a deep policy.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/document.h"
#include "policy/host.h"

namespace saw::policy {

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
};
template <class T> using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

class HostIndex {
 public:
  void add(const HostPattern& host, uint16_t port, uint32_t entry);
  void finish();

  // Calls visit(entry) for each entry that lists the host and port; an entry may come more than once. Stops
  // when visit returns false.
  template <class Visit> void at(const HostName& host, uint16_t port, Visit visit) const {
    each_bucket(host, [&](const Bucket& bucket, bool exact) {
      auto it = std::lower_bound(bucket.begin(), bucket.end(), port,
                                 [](const Slot& s, uint16_t p) { return s.port < p; });
      for (; it != bucket.end() && it->port == port; ++it)
        if ((exact || it->glob->matches(host.text())) && !visit(it->entry)) return false;
      return true;
    });
  }
  // The same at any port.
  template <class Visit> void anywhere(const HostName& host, Visit visit) const {
    each_bucket(host, [&](const Bucket& bucket, bool exact) {
      for (const Slot& slot : bucket)
        if ((exact || slot.glob->matches(host.text())) && !visit(slot.entry)) return false;
      return true;
    });
  }

 private:
  struct Slot {
    uint16_t port;
    uint32_t entry;
    const Glob* glob;  // in the Document
  };
  using Bucket = std::vector<Slot>;

  template <class Visit> void each_bucket(const HostName& host, Visit visit) const {
    const std::string_view text = host.text();
    if (auto it = exact_.find(text); it != exact_.end() && !visit(it->second, true)) return;
    if (host.address() || by_tail_.empty()) return;  // wildcards are for names
    for (size_t begin = 0;; begin = text.find('.', begin) + 1) {
      if (auto it = by_tail_.find(text.substr(begin)); it != by_tail_.end() && !visit(it->second, false))
        return;
      if (text.find('.', begin) == std::string_view::npos) break;
    }
    if (auto it = by_tail_.find(std::string_view()); it != by_tail_.end()) visit(it->second, false);
  }

  TextMap<Bucket> exact_, by_tail_;
};

// The rules of one entry by what most of them name: paths (http, websocket), repos (git), fields (graphql), methods (jsonrpc), tools
// (mcp), packages (registry). A rule that names none of it is found with every key.
class RuleIndex {
 public:
  void add(const std::vector<Glob>& globs, uint32_t number);

  // Calls visit(rule number) for each rule whose globs admit the key; a rule may come more than once.
  template <class Visit> void at(std::string_view key, Visit visit) const {
    any_key(visit);
    if (auto it = exact_.find(key); it != exact_.end())
      for (uint32_t rule : it->second) visit(rule);
    if (by_head_.empty()) return;
    size_t end = 0;
    for (size_t depth = 0; depth <= deepest_; ++depth) {
      if (auto it = by_head_.find(key.substr(0, end)); it != by_head_.end())
        for (const Slot& slot : it->second)
          if (slot.glob->matches(key)) visit(slot.rule);
      if (end == key.size()) break;
      end = std::min(key.find('/', end + 1), key.size());
    }
  }
  template <class Visit> void any_key(Visit visit) const {
    for (uint32_t rule : any_key_) visit(rule);
  }

 private:
  struct Slot {
    uint32_t rule;
    const Glob* glob;
  };
  TextMap<std::vector<uint32_t>> exact_;
  TextMap<std::vector<Slot>> by_head_;
  std::vector<uint32_t> any_key_;
  size_t deepest_ = 0;  // segments in the longest head
};

struct Policy::Impl {
  std::string file;
  Digest digest{};
  Document document;
  Diagnostics warnings;
  std::vector<Credential> credentials;
  HostIndex hosts;
  std::vector<RuleIndex> rules;                    // by entry
  std::vector<std::vector<Ecosystem>> ecosystems;  // by entry: those its registry rules are about
  std::vector<std::vector<uint32_t>> models;       // by entry: the inference rules that go through it
  std::vector<std::string> to_ids;                 // by entry: "network.<entry>.to", the rule of a DNS answer
};

// Fills the indexes; the Document must not move afterwards.
void build_indexes(Policy::Impl& impl);

// Whether the entry could admit anything at all.
bool admits(const Entry& entry);

}  // namespace saw::policy
