// Any text in an event gives one bounded line of printable ASCII that is a JSON object; any bytes give a
// sentence without control characters.
#include <algorithm>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "audit/event.h"
#include "audit/tile.h"
#include "base/result.h"

namespace {

void check_line(const std::string& line) {
  SAW_CHECK(line.size() <= saw::audit::kMaxEntry);
  SAW_CHECK(std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7f; }));
  SAW_CHECK(nlohmann::json::parse(line, nullptr, false).is_object());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::audit;
  std::string text(reinterpret_cast<const char*>(data), size);
  for (unsigned char c : sentence(text, Colour::no)) SAW_CHECK(c >= 0x20 && c != 0x7f);
  (void)sentence(text, Colour::yes);

  Base base{.time = static_cast<saw::Nanos>(size),
            .verdict = Verdict::denied,
            .who = {text, text, text, text, text, text, text, text}};
  base.rule = base.reason = base.policy_digest = base.message = text;
  for (const std::string& line :
       {http_activity({base, text, text, text, text, text, 1, 2, 3, 4, text, text}),
        network_activity({base, text, text, 1, text}), dns_activity({base, text, text, text, 2}),
        process_activity({base, ProcessActivity::Activity::launch, text, text, 1}),
        lifecycle({base, Lifecycle::Activity::start, text, text, text}),
        api_activity({base, ApiActivity::Activity::update, text, text, text, text}),
        authentication({base, text, 1}), finding({base, text, text})}) {
    check_line(line);
    for (unsigned char c : sentence(line, Colour::no)) SAW_CHECK(c >= 0x20 && c != 0x7f);
  }
  return 0;
}
