// Everything that saw-egress and saw-perimeter (and sawd and saw-perimeter) say to each other: this header is that attack surface.
//
// saw-perimeter trusts saw-egress with nothing: it dials what the operator's file allows, and only that.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/wire.h"

namespace saw::egress {

// ---- sawd → saw-perimeter: a workspace's saw-egress, with [its channel].
struct AddClient {
  std::string workspace;  // for events
  template <class A> void members(A& a) { a(workspace); }
};
using ToPerimeter = std::variant<AddClient>;

// ---- saw-egress → saw-perimeter
struct Dial {
  uint64_t request = 0;
  std::string host;  // lower-case DNS name or address literal
  uint16_t port = 0;
  std::vector<std::string>
      ranges;  // private ranges the policy's entry allows ("10.20.0.0/16"); the operator must allow them too
  std::string trace;  // of the call, for events
  template <class A> void members(A& a) { a(request, host, port, ranges, trace); }
};
using DialRequest = std::variant<Dial>;

// ---- saw-perimeter → saw-egress
struct Dialed {  // with [connected stream socket]
  uint64_t request = 0;
  std::string address;  // what was dialled: "93.184.216.34", or "connector" with its target
  template <class A> void members(A& a) { a(request, address); }
};
struct DialRefused {
  uint64_t request = 0;
  std::string
      code;  // perimeter.not_listed | perimeter.address_class | perimeter.private_range | perimeter.resolve | perimeter.connect | perimeter.busy | perimeter.misconfigured
  std::string message;
  template <class A> void members(A& a) { a(request, code, message); }
};
using DialAnswer = std::variant<Dialed, DialRefused>;

constexpr size_t kMaxDialsInFlight = 256;  // per client; beyond: perimeter.busy
constexpr int64_t kDialTimeoutMs = 10'000;

}  // namespace saw::egress
