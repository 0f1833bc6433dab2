// A request head: any bytes give incomplete, malformed, or a head whose parts lie inside the input and whose
// verdict does not change when more bytes follow. What is incomplete stays within the bound.
#include <cstdint>
#include <string>

#include "base/result.h"
#include "egress/http1_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ParsedRequest parsed = parse_request_head(bytes);
  if (parsed.state == HeadState::incomplete) SAW_CHECK(size < kMaxHeadBytes);
  if (parsed.state == HeadState::malformed) SAW_CHECK(parsed.problem.starts_with("malformed:"));
  if (parsed.state != HeadState::complete) return 0;
  SAW_CHECK(parsed.consumed <= size && parsed.head.fields.size() <= kMaxHeaders);
  SAW_CHECK(parsed.head.framing == Framing::none || parsed.head.framing == Framing::length ||
            parsed.head.framing == Framing::chunked);
  for (const Field& f : parsed.head.fields)
    SAW_CHECK(is_token(f.name) &&
              f.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  ParsedRequest again =
      parse_request_head(std::string(bytes.substr(0, parsed.consumed)) + "GET / HTTP/1.1\r\n");
  SAW_CHECK(again.state == HeadState::complete && again.consumed == parsed.consumed);
  return 0;
}
