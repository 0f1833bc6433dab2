// Reading a manifest is total, and what is read can be written and read again as the same.
#include <cstdint>
#include <string_view>

#include "release/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::release;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto read = Manifest::parse(text)) {
    const auto again = Manifest::parse(read->text());
    SAW_CHECK(again && *again == *read);
  }
  return 0;
}
