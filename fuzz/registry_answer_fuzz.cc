// Lists of versions: total, and what was filtered once is not filtered again.
#include <cstdint>

#include "base/result.h"
#include "egress/registry_answer.h"

using namespace saw::egress;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const VersionList list{.before = 1'700'000'000'000'000'000, .learn = [](std::string_view, saw::Nanos) {}};
  auto once = filter_versions({reinterpret_cast<const char*>(data), size}, list);
  if (!once) return 0;
  auto twice = filter_versions(*once, list);
  SAW_CHECK(twice && *twice == *once);
  return 0;
}
