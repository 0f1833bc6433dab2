// Every message on the perimeter's links: decoding is total, what decodes encodes back to the same bytes, and
// judging what a client sent is total too.
#include <cstdint>

#include "egress/egress_protocol.h"
#include "egress/perimeter.h"

namespace {

template <class Message> void round_trip(std::string_view bytes) {
  auto message = saw::wire::decode<Message>(bytes);
  if (message) SAW_CHECK(saw::wire::encode(*message) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  round_trip<ToPerimeter>(bytes);
  round_trip<DialAnswer>(bytes);
  round_trip<AuditMessage>(bytes);
  auto request = saw::wire::decode<DialRequest>(bytes);
  if (!request) return 0;
  const Dial& dial = std::get<Dial>(*request);
  const PerimeterFile nothing_listed;
  if (!is_well_formed(dial)) return 0;
  SAW_CHECK(std::holds_alternative<NotListed>(nothing_listed.route(dial.host, dial.port)));
  auto address = saw::policy::parse_address(dial.host);
  if (address && saw::policy::classify(*address) != saw::policy::AddressClass::global)
    SAW_CHECK(judge_address(nothing_listed, *address, dial).has_value());
  return 0;
}
