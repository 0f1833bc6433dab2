// A sandbox's DNS message: any bytes are ignored, refused or a question, and every answer we make is a
// well-formed message of bounded size.
#include <cstdint>

#include "base/result.h"
#include "egress/dns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  DnsQuery query = parse_query({reinterpret_cast<const char*>(data), size});
  if (query.state == DnsQuery::State::not_dns) return 0;
  SAW_CHECK(query.name.size() <= kMaxNameBytes);
  std::string nothing = answer_nothing(query, DnsCode::no_such_name),
              address = answer_address(query, {198, 18, 1, 0}, 5);
  SAW_CHECK(nothing.size() >= 12 && address.size() <= kMaxQueryBytes + 64);
  SAW_CHECK(parse_query(nothing).state == DnsQuery::State::not_dns,
            "an answer must not be taken for a question");
  return 0;
}
