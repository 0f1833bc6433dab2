// Reading YAML is total: any bytes give a tree within the bounds, or exactly one diagnostic with a place.
#include <cstdint>

#include "base/result.h"
#include "policy/yaml.h"

namespace {
using saw::policy::yaml::Node;

void check(const Node& node, int depth) {
  SAW_CHECK(depth <= saw::policy::yaml::kMaxDepth && node.line >= 1 && node.column >= 1);
  for (const Node& item : node.items) check(item, depth + 1);
  for (const auto& [key, value] : node.members) {
    SAW_CHECK(key.kind == Node::Kind::scalar && node.find(key.scalar) == &value);
    check(value, depth + 1);
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto tree = saw::policy::yaml::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (tree)
    check(*tree, 0);
  else
    SAW_CHECK(tree.error().size() == 1 && tree.error()[0].line >= 1);
  return 0;
}
