// What a request asks, in the words of its protocol: for events, for the person who reviews it, and for the advice in a denial. Decides
// nothing: that is policy::Policy::decide, from the same bytes.
//
//   Operation op = describe_operation({.protocol = Protocol::mcp, .method = "POST", .target = "/mcp", .body = body});
//   // op.summary == "tools/call create_ticket"; op.detail has its arguments, one a line
//
// Total on any bytes; what the protocol's reader refuses has an empty summary. Both texts are printable and bounded.
#pragma once

#include <string>
#include <string_view>

#include "policy/policy.h"

namespace saw::egress {

struct Operation {
  static constexpr size_t kMaxSummary = 200, kMaxDetail = 4u << 10;
  std::string summary;  // one line
  std::string detail;   // lines, each ended; empty: the summary says it all
};

struct OperationSource {
  policy::Protocol protocol = policy::Protocol::http;
  std::string_view method, target, body;  // target: canonical
  policy::BodyNeed body_need =
      policy::BodyNeed::none;  // plain HTTP judged by its body is a question to a model
};
Operation describe_operation(const OperationSource& source);

// How an agent can put right what was refused for that reason (a reason code of the decider); empty: nothing is known.
std::string_view remedy(std::string_view reason);

}  // namespace saw::egress
