// A question to saw-prove: answering is total, and nothing but a whole question is ever proved.
#include <cstdint>

#include "base/result.h"
#include "policy/prove/exchange.h"

using namespace saw::policy::prove;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const std::string answer = answer_question(
      raw, {.words = {.states = 2'000, .classes = 200}, .ask = {.solver_ms = 200}, .max_parts = 20});
  SAW_CHECK(answer.starts_with("{\"verdict\":\""));
  if (answer.find("\"proved\"") != std::string::npos) SAW_CHECK(raw.starts_with("within "));
  return 0;
}
