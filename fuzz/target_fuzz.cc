// A canonical target is printable ASCII, its own canonical form, starts at the root, and holds nothing that a
// server could resolve again.
#include <cstdint>

#include "base/result.h"
#include "policy/glob.h"
#include "policy/target.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const TargetParts parts = split_target(raw);
  SAW_CHECK(parts.scheme.size() + parts.authority.size() + parts.rest.size() <= raw.size());
  if (auto glob = canonical_path_glob(raw)) (void)Glob::create(*glob, Glob::Kind::path);
  auto target = canonical_target(raw);
  if (!target) return 0;
  for (char c : target->text) SAW_CHECK(c > 0x20 && c < 0x7f && c != '\\' && c != '#');
  const std::string path(target->path());
  SAW_CHECK(path.starts_with('/') && path.find("//") == std::string::npos &&
            (path + "/").find("/./") == std::string::npos && (path + "/").find("/../") == std::string::npos &&
            path.find("%2F") == std::string::npos && path.find("%2E") == std::string::npos);
  size_t octets = 0;
  ParameterReader reader(target->query());
  while (auto parameter = reader.next()) octets += parameter->key.size() + parameter->value.size();
  SAW_CHECK(octets <= target->query().size());
  if (target->text.size() > kMaxTarget) return 0;  // escaping may lengthen what came
  auto again = canonical_target(target->text);
  SAW_CHECK(again && again->text == target->text && again->path_size == target->path_size);
  return 0;
}
