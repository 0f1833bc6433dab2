// An address prints to a text that reads as the same address, and no spelling changes its class.
#include <cstdint>

#include "base/result.h"
#include "policy/address.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  if (auto range = parse_range(raw)) SAW_CHECK(contains(*range, range->base));
  auto address = parse_address(raw);
  if (!address) return 0;
  auto again = parse_address(to_text(*address));
  SAW_CHECK(again && *again == *address && classify(*again) == classify(*address));
  return 0;
}
