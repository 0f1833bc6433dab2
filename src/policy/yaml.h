// Strict YAML: libyaml's events into a small tree that remembers where everything stood.
//
//   auto tree = yaml::parse(text, "perimeter.yaml");      // Diagnostics on a syntax error, duplicate key, alias, tag, or excess
//
// What YAML 1.1 makes of plain scalars (yes, 0x10, 1_000, null) is not applied: a scalar is its text and whether it was quoted. Anchors,
// aliases, tags, merge keys, multiple documents, and keys that are not scalars are refused. Bounds: kMaxBytes, kMaxDepth, kMaxNodes.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/policy.h"

namespace saw::policy::yaml {

constexpr size_t kMaxBytes = 4u << 20, kMaxNodes = 1'000'000;
constexpr int kMaxDepth = 32;

struct Member;

struct Node {
  enum class Kind { scalar, sequence, mapping } kind = Kind::scalar;
  int line = 0, column = 0;
  std::string scalar;
  bool quoted = false;
  std::vector<Node> items;                       // sequence
  std::vector<Member> members;                   // mapping, in order; keys are unique scalars
  const Node* find(std::string_view key) const;  // member of a mapping, nullptr if absent
};

struct Member {
  Node first, second;  // key, value
};

std::expected<Node, Diagnostics> parse(std::string_view text, std::string_view file);

}  // namespace saw::policy::yaml
