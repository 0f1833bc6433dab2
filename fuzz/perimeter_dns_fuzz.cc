// The answer of a name server, which anybody on the way may have written.
#include <cstdint>

#include "base/result.h"
#include "egress/perimeter_dns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (RecordType type : {RecordType::a, RecordType::aaaa}) {
    auto reply = decode_answer(bytes, {.id = 0x1234, .name = "api.example.com", .type = type});
    if (!reply) continue;
    SAW_CHECK(reply->addresses.size() <= kMaxAddresses);
    SAW_CHECK(reply->addresses.empty() || reply->outcome == DnsReply::Outcome::answered);
  }
  return 0;
}
