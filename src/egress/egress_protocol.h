// Everything that sawd and saw-egress say to each other: this header is that attack surface.
//
// Two SOCK_SEQPACKET pairs per saw-egress, made by saw-node: control (ToEgress / FromEgress) and audit (AuditRecord, egress → sawd, and
// AuditAck back). saw-egress is the less trusted side: it parses the internet's and the agent's bytes.
// saw-egress exits when its control link closes: no authority outlives the control plane (fail closed).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/wire.h"

namespace saw::egress {

// Who is on the other end of a channel. Copied into every event.
struct ChannelIdentity {
  std::string sponsor, agent, workspace, session, call;  // ids; session and call may be empty
  std::string agent_name, workspace_name;
  std::string credential_id;  // jti of the runtime credential
  std::string trace;          // joins all layers' events of one call
  template <class A> void members(A& a) {
    a(sponsor, agent, workspace, session, call, agent_name, workspace_name, credential_id, trace);
  }
};

// ---- sawd → saw-egress
// The first message; again on a policy or secret change. Applies to the next request on every connection.
struct Configure {
  uint64_t epoch = 0;  // grows; decisions carry it
  std::string policy_yaml, policy_name;
  std::string ca_certificate_pem, ca_key_pem;  // the workspace's CA
  std::string upstream_trust_pem;              // system store and operator CAs, concatenated
  std::map<std::string, std::string>
      secrets;  // secret name → value, only those the policy's credentials name
  std::map<std::string, std::string> placeholders;  // secret name → what the sandbox sees instead
  template <class A> void members(A& a) {
    a(epoch, policy_yaml, policy_name, ca_certificate_pem, ca_key_pem, upstream_trust_pem, secrets,
      placeholders);
  }
};
// With [a file of Allowance::kLedgerBytes]: where what agents use up is counted (allowance.h). Before the first Configure, once.
struct UseLedger {
  template <class A> void members(A&) {}
};
// With [channel to saw-perimeter]; replaces the one before.
struct ConnectPerimeter {
  template <class A> void members(A&) {}
};
// A sandbox's sockets, with [capture listener, DNS socket]. The channel's name is the sandbox id.
struct BindChannel {
  std::string channel;
  ChannelIdentity identity;
  template <class A> void members(A& a) { a(channel, identity); }
};
// Closes everything that came through the channel.
struct UnbindChannel {
  std::string channel;
  template <class A> void members(A& a) { a(channel); }
};
enum class ReviewOutcome : uint8_t { approved, denied, timed_out };
constexpr ReviewOutcome kEnumLast(ReviewOutcome) {
  return ReviewOutcome::timed_out;
}
struct ReviewVerdict {
  uint64_t ask = 0;
  std::string review;  // its id, told to the agent
  ReviewOutcome outcome = ReviewOutcome::denied;
  std::string why;
  template <class A> void members(A& a) { a(ask, review, outcome, why); }
};
using ToEgress =
    std::variant<Configure, ConnectPerimeter, BindChannel, UnbindChannel, ReviewVerdict, UseLedger>;

// ---- saw-egress → sawd
struct Configured {  // answer to each Configure
  uint64_t epoch = 0;
  std::string policy_digest, error;  // error empty: applied
  template <class A> void members(A& a) { a(epoch, policy_digest, error); }
};
// A request that waits for a person. sawd answers with ReviewVerdict after at most hold_ms (timed_out then).
struct ReviewAsk {
  uint64_t ask = 0;
  std::string channel;
  std::string method, scheme, host, target, rule, reason, entry;
  uint16_t port = 0;
  std::string
      digest;  // "sha256:…" over scheme, host and port, and the exact bytes that will be sent, with the credential's name for its value
  std::string policy_digest;
  std::string
      preview;  // printable summary for the reviewer: headers without secrets, first bytes of the body
  uint64_t body_bytes = 0;
  int64_t hold_ms = 0;
  template <class A> void members(A& a) {
    a(ask, channel, method, scheme, host, target, rule, reason, entry, port, digest, policy_digest, preview,
      body_bytes, hold_ms);
  }
};
struct ReviewAbandoned {  // the agent went away while waiting
  uint64_t ask = 0;
  template <class A> void members(A& a) { a(ask); }
};
using FromEgress = std::variant<Configured, ReviewAsk, ReviewAbandoned>;

// ---- the audit pair, shared with saw-perimeter
struct AuditRecord {
  uint64_t sequence = 0;  // 1, 2, 3 … per process: a gap is itself a finding
  std::string event;      // one OCSF event, one line of JSON, at most kMaxEventBytes
  template <class A> void members(A& a) { a(sequence, event); }
};
struct AuditAck {
  uint64_t sequence = 0;  // everything up to here is durable
  template <class A> void members(A& a) { a(sequence); }
};
constexpr size_t kMaxEventBytes = 16u << 10;
// With this many records unacknowledged, a component admits nothing new until sawd catches up (R100).
constexpr uint64_t kMaxUnacknowledged = 1024;
using AuditMessage = std::variant<AuditRecord, AuditAck>;

}  // namespace saw::egress
