// Reading a signature envelope is total, what is read can be written and read again, and nobody's signature counts.
#include <cstdint>
#include <string_view>

#include "release/envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::release;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto read = Envelope::parse(text, kReleaseType, "signature.sig")) {
    const auto again = Envelope::parse(read->text(), kReleaseType, "signature.sig");
    SAW_CHECK(again && again->payload == read->payload &&
              again->signatures.size() == read->signatures.size());
    static const Trust nobody;
    SAW_CHECK(!check_signatures(*read, {nobody, "stable", {}, {}}));
  }
  return 0;
}
