#include "cli/audit_filter.h"

#include <ctime>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/context.h"

namespace saw::cli {
namespace {

using nlohmann::json;

// Text at a JSON pointer; empty if there is none.
std::string at(const json& event, const char* pointer) {
  const json::json_pointer where(pointer);
  if (!event.contains(where)) return {};
  const json& value = event.at(where);
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool is_one_of(const json& event, const std::optional<std::string>& wanted,
               std::initializer_list<const char*> pointers) {
  if (!wanted) return true;
  for (const char* pointer : pointers)
    if (at(event, pointer) == *wanted) return true;
  return false;
}

}  // namespace

bool matches(const AuditFilter& filter, std::string_view event_json) {
  const bool everything = !filter.verdict && !filter.agent && !filter.workspace && !filter.host &&
                          !filter.session && !filter.call && !filter.trace && !filter.since;
  if (everything) return true;
  const json event = json::parse(event_json, nullptr, false);
  if (!event.is_object()) return false;
  if (filter.since) {
    const auto time = event.find("time");
    if (time == event.end() || !time->is_number_integer() ||
        time->get<int64_t>() < *filter.since / kMillisecond)
      return false;
  }
  return is_one_of(event, filter.verdict, {"/unmapped/saw/verdict"}) &&
         is_one_of(event, filter.agent, {"/unmapped/saw/agent", "/unmapped/saw/agent_name"}) &&
         is_one_of(event, filter.workspace, {"/unmapped/saw/workspace", "/unmapped/saw/workspace_name"}) &&
         is_one_of(event, filter.session, {"/unmapped/saw/session", "/unmapped/saw/session_name"}) &&
         is_one_of(event, filter.call, {"/unmapped/saw/call"}) &&
         is_one_of(event, filter.trace, {"/metadata/correlation_uid", "/unmapped/saw/trace"}) &&
         is_one_of(
             event, filter.host,
             {"/dst_endpoint/hostname", "/dst_endpoint/ip", "/http_request/url/hostname", "/query/hostname"});
}

std::optional<Nanos> parse_since(std::string_view text, Nanos now) {
  if (const auto ago = parse_duration_ms(text)) return now - *ago * kMillisecond;
  const std::string copy(text);
  for (const char* format : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"}) {
    std::tm time{};
    const char* end = ::strptime(copy.c_str(), format, &time);
    if (end && *end == '\0') return Nanos{::timegm(&time)} * kSecond;
  }
  return std::nullopt;
}

}  // namespace saw::cli
