// What an answer of a model says it cost: total, bounded, told once, and nothing of the answer changes.
#include <cstdint>

#include "base/result.h"
#include "egress/token_usage.h"

using namespace saw::egress;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view answer(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = data[0] % 16 + 1u;
  int told = 0;
  auto filter = token_filter(100, [&](TokenUse used) {
    ++told;
    constexpr uint64_t kMost = 5'000'000'000;
    SAW_CHECK(used.total() <= kMost);
  });
  std::string passed;
  for (size_t at = 0; at < answer.size(); at += step) passed += *filter->feed(answer.substr(at, step));
  passed += *filter->finish();
  filter.reset();
  SAW_CHECK(told == 1 && passed == answer);
  return 0;
}
