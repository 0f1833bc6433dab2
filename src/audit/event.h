// One OCSF event (schema 1.x, see the version constant in event.cc), built field by field and rendered as one
// line of JSON.
//
//   std::string line = http_activity({.time = clock.now(), .layer = Layer::runtime, .who = identity, …});
//
// Which classes SAW emits, and when: docs/audit.md. Strings that came from the agent's side are bounded
// (kMaxText) and escaped here, so a caller passes them raw. Every event carries who (sponsor, agent,
// workspace, session, call), trace, layer, rule and policy digest as far as they are known: in
// `metadata.correlation_uid` (trace), `actor`, and `unmapped.saw`. It validates against the published schema.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace saw::audit {

constexpr size_t kMaxText = 512;

enum class Layer : uint8_t {
  governance,
  runtime,
  perimeter
};  // sawd · saw-node and saw-egress · saw-perimeter
enum class Verdict : uint8_t { none, allowed, denied, reviewing };

struct Who {
  std::string sponsor, agent, agent_name, workspace, workspace_name, session, call, credential, trace;
};

// Common to every event.
struct Base {
  Nanos time = 0;
  Layer layer = Layer::governance;
  Verdict verdict = Verdict::none;
  Who who;
  std::string rule, reason, policy_digest;
  std::string message;  // the event as a sentence: "agent 'coder' was denied POST https://evil.example/
                        // (default-deny)"
};

// 4002 HTTP Activity
struct HttpActivity : Base {
  std::string method, scheme, host, target, digest;
  uint16_t port = 0, status = 0;  // status 0: no answer was relayed
  uint64_t bytes_out = 0, bytes_in = 0;
  std::string review;           // id, when a person decided
  std::string credential_used;  // name of the injected credential, never its value
  std::string operation;        // in the protocol's words: "tools/call create_ticket"; empty: plain HTTP
};
std::string http_activity(const HttpActivity&);

// 4001 Network Activity: a TCP connection (or a dial by the perimeter) that never became HTTP.
struct NetworkActivity : Base {
  std::string host, address;
  uint16_t port = 0;
  std::string protocol = "tcp";
};
std::string network_activity(const NetworkActivity&);

// 4003 DNS Activity
struct DnsActivity : Base {
  std::string name, type, answer;  // answer empty: NXDOMAIN
  uint32_t repeats = 1;            // aggregated
};
std::string dns_activity(const DnsActivity&);

// 1007 Process Activity: a command started or ended in a sandbox.
struct ProcessActivity : Base {
  enum class Activity : uint8_t { launch, terminate } activity = Activity::launch;
  std::string command_line, sandbox;
  int32_t pid = 0, exit_status = 0;
  std::string limit;                             // that ended it: "memory", "wall_clock", "file_size"
  uint64_t memory_kills = 0, forks_refused = 0;  // in its sandbox, while it ran
};
std::string process_activity(const ProcessActivity&);

// 6002 Application Lifecycle: workspace, session, daemon life cycle.
struct Lifecycle : Base {
  enum class Activity : uint8_t { install, remove, start, stop, restart, other } activity = Activity::other;
  std::string object_kind, object_id, object_name;  // "workspace", "ws-…", "dev"
};
std::string lifecycle(const Lifecycle&);

// 6003 API Activity: an administrative action by a person: agent suspended, secret put, review decided,
// policy changed.
struct ApiActivity : Base {
  enum class Activity : uint8_t { create, read, update, remove, other } activity = Activity::other;
  std::string operation, object_kind, object_id, object_name;  // "review.approve", "review", "rv-…"
};
std::string api_activity(const ApiActivity&);

// 3002 Authentication: a runtime credential was minted and resolved, or refused.
struct Authentication : Base {
  std::string credential_id;
  Nanos expires = 0;
};
std::string authentication(const Authentication&);

// 2004 Detection Finding: something that should not happen did.
struct Finding : Base {
  std::string title, finding_kind;  // "audit-gap", "placeholder-misused"
};
std::string finding(const Finding&);

// 2003 Compliance Finding: a sandbox passed every probe of its confinement, or one did not (R117).
constexpr size_t kMaxEvidence = 48u << 10;
struct Enforcement : Base {
  std::string sandbox, plan_digest, summary;  // "106 of 106 probes as expected"
  std::string evidence;  // the node's signed statement, whole; longer than kMaxEvidence: left out
};
std::string enforcement(const Enforcement&);

// 5019 Device Config State Change: a policy release was activated on a channel, refused, rolled back to or taken back.
struct PolicyRelease : Base {
  std::string channel, version, release;  // release: its digest, what a signer signed
  uint64_t revision = 0;                  // 0: not known
};
std::string policy_release(const PolicyRelease&);

// The event as a sentence with its time, for `saw audit tail`. Total on any text; colour by ANSI codes when
// asked.
enum class Colour : uint8_t { no, yes };
std::string sentence(std::string_view event_json, Colour colour);

}  // namespace saw::audit
