// The chunked coding: the result does not depend on where the input was cut (the first byte says where).
#include <cstdint>
#include <string>

#include "base/result.h"
#include "egress/http1_chunked.h"

namespace {
struct Outcome {
  std::string data, problem;
  bool finished = false;
  bool operator==(const Outcome&) const = default;
};

Outcome decode(std::string_view bytes, size_t step) {
  saw::egress::ChunkedDecoder decoder;
  Outcome out;
  std::string buffer;
  while (!decoder.finished()) {
    auto got = decoder.step(buffer);
    SAW_CHECK(got.consumed <= buffer.size());
    out.data += got.data;
    buffer.erase(0, got.consumed);
    if (!got.problem.empty()) {
      out.problem = got.problem;
      return out;
    }
    if (got.consumed > 0) continue;
    if (bytes.empty()) return out;
    buffer += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  out.finished = true;
  return out;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  SAW_CHECK(decode(bytes, size) == decode(bytes, data[0] % 16 + 1u));
  return 0;
}
