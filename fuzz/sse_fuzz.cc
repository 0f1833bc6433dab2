// Server-sent events: what is read does not depend on where the stream was cut (the first byte says where), and what is written is read
// back as the same events, one for one.
#include <cstdint>

#include "base/result.h"
#include "egress/sse.h"

using namespace saw::egress;

namespace {

std::vector<SseEvent> read(std::string_view stream, size_t step) {
  SseReader reader;
  std::vector<SseEvent> out;
  for (size_t at = 0; at < stream.size(); at += step) {
    auto events = reader.feed(stream.substr(at, step));
    SAW_CHECK(events.has_value());  // the input is shorter than the longest event
    out.insert(out.end(), events->begin(), events->end());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > SseReader::kMaxEvent / 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto events = read(stream, stream.size() + 1);
  SAW_CHECK(read(stream, data[0] % 16 + 1u) == events);
  std::string written;
  for (const SseEvent& event : events) written += encode_sse(event);
  SAW_CHECK(read("\n" + written, 1000) == events);
  return 0;
}
