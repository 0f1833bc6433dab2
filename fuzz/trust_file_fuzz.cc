// Reading a trust file is total, and no file lets fewer people sign than it asks for.
#include <cstdint>
#include <string_view>

#include "release/trust.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::release;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto trust = Trust::parse(text, "trust.yaml");
  if (!trust) return 0;
  for (const auto& [name, channel] : trust->channels())
    SAW_CHECK(channel.threshold >= 1 && channel.threshold <= channel.signers.size());
  return 0;
}
