// Reading a channels file is total, and every path in what is read is absolute.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "release/channels_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto read = saw::release::ChannelsFile::parse(text, "channels.yaml")) {
    SAW_CHECK(read->trust.starts_with('/'));
    SAW_CHECK(std::ranges::all_of(read->trees, [](const auto& t) { return t.second.starts_with('/'); }));
  }
  return 0;
}
