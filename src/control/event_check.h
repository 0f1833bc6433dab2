// Whether an event that another program sent may go into the audit log as that program's: total on any bytes.
//
//   if (auto problem = event_problem(line, {.layer = "runtime", .workspace = "ws-1"})) …     // a sentence;
//   nullopt: take it
//
// It is one line of at most kMaxEventBytes, a JSON object without duplicate keys, it says the layer that its
// sender is, and it speaks of no workspace but its sender's: a saw-egress that was taken over cannot write
// governance events, nor another workspace's (R99).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace saw::control {

struct EventSource {
  std::string layer;      // unmapped.saw.layer
  std::string workspace;  // unmapped.saw.workspace may be absent or this; empty: any
};
std::optional<std::string> event_problem(std::string_view event, const EventSource& source);

}  // namespace saw::control
