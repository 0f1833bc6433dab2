// Which events of the audit log are meant: the filters of `saw audit query`, as a pure predicate on the JSON
// line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace saw::cli {

// An absent member matches everything.
struct AuditFilter {
  std::optional<std::string> verdict;  // "allowed", "denied", "reviewing"
  std::optional<std::string> agent, workspace, host, session, call,
      trace;  // ids; agent, workspace and session by name, too
  std::optional<Nanos> since;
};

// Total on any text: what is not an event matches only the empty filter.
bool matches(const AuditFilter& filter, std::string_view event_json);

// "10m" before `now`, or "2026-11-24T03:00:00Z" (also "2026-11-24"); nullopt if it is neither.
std::optional<Nanos> parse_since(std::string_view text, Nanos now);

}  // namespace saw::cli
