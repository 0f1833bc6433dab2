// The perimeter file: any text gives a file or errors with a place, and no accepted file reaches loopback
// without a connector.
#include <cstdint>

#include "base/result.h"
#include "egress/perimeter_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  auto file = PerimeterFile::parse({reinterpret_cast<const char*>(data), size}, "fuzz.yaml");
  if (!file) {
    SAW_CHECK(!file.error().empty());
    for (const auto& error : file.error()) SAW_CHECK(error.line >= 0 && !error.code.empty());
    return 0;
  }
  for (const char* literal : {"127.0.0.1", "::1", "169.254.169.254", "0x7f.1", "::ffff:127.0.0.1"})
    for (uint16_t port : {80, 443}) SAW_CHECK(std::holds_alternative<NotListed>(file->route(literal, port)));
  return 0;
}
