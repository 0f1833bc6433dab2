// Reading a revocation list is total, and what is read can be written and read again as the same; no bytes are a signed list.
#include <cstdint>
#include <string_view>

#include "release/revocations.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::release;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto read = Revocations::parse(text)) {
    const auto again = Revocations::parse(read->text());
    SAW_CHECK(again && *again == *read);
  }
  static const Trust nobody;
  SAW_CHECK(!read_revocations(text, nobody, "stable", {}));
  return 0;
}
