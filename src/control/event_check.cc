#include "control/event_check.h"

#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "audit/index.h"
#include "egress/egress_protocol.h"

namespace saw::control {
namespace {

using Json = nlohmann::ordered_json;  // so that an event is written again as it came
constexpr int kMaxDepth = 32;

// nullopt: not one JSON object with unique keys.
std::optional<Json> parse_strictly(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  bool good = true;
  auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) good = false;
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get_ref<const std::string&>()).second)
      good = false;
    return good;
  };
  Json json = Json::parse(text, check, /*allow_exceptions=*/false);
  if (!good || json.is_discarded() || !json.is_object()) return std::nullopt;
  return json;
}

// A member of unmapped.saw; empty if it is not there or no string.
std::string own_field(const Json& event, const char* name) {
  const Json* at = &event;
  for (const char* step : {"unmapped", "saw", name}) {
    if (!at->is_object()) return "";
    auto found = at->find(step);
    if (found == at->end()) return "";
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : "";
}

}  // namespace

std::optional<std::string> event_problem(std::string_view event, const EventSource& source) {
  if (event.size() > egress::kMaxEventBytes) return "it is too long";
  for (unsigned char byte : event)
    if (byte < 0x20) return "it is not one line of text";
  auto json = parse_strictly(event);
  if (!json) return "it is not one JSON object with unique keys";
  // The log's index goes by the bytes (audit/index.h): one text has one spelling, and few destinations.
  if (json->dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace) != event)
    return "it is not written the one way in which it can be indexed";
  if (audit::entry_keys(event).size() >= audit::kMaxKeysPerEntry) return "it names too many destinations";
  if (own_field(*json, "layer") != source.layer) return "it claims to come from another layer";
  const std::string workspace = own_field(*json, "workspace");
  if (!source.workspace.empty() && !workspace.empty() && workspace != source.workspace)
    return "it speaks of another workspace";
  return std::nullopt;
}

}  // namespace saw::control
