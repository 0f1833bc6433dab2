// A response head, for a request method that the first byte chooses.
#include <cstdint>

#include "base/result.h"
#include "egress/http1_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ParsedResponse parsed = parse_response_head(bytes, data[0] & 1 ? "HEAD" : "GET");
  if (parsed.state != HeadState::complete) return 0;
  SAW_CHECK(parsed.consumed <= bytes.size() && parsed.head.status >= 100 && parsed.head.status < 600);
  // What we pass on is a head that we would accept ourselves, but for the bound: we may add two fields.
  if (parsed.head.fields.size() + 2 > kMaxHeaders) return 0;
  BodyPlan plan{parsed.head.framing == Framing::until_close ? Framing::chunked : parsed.head.framing,
                parsed.head.content_length};
  std::string out =
      downstream_head(parsed.head, plan, Persistence::keep_alive, [](const Field& f) { return f.value; });
  ParsedResponse again = parse_response_head(out, data[0] & 1 ? "HEAD" : "GET");
  SAW_CHECK(again.state != HeadState::malformed, "{}", again.problem);
  return 0;
}
