// What saw-egress itself writes in HTTP/1.1: requests upstream, answers downstream, denials.
//
//   stream.write(upstream_head({.method = "GET", .target = decision.canonical_target, .authority =
//   "api.example.com"}, head.fields)); stream.write(denial_response({.status = 403, .code =
//   "policy.default_deny", …}));
//
// Hop-by-hop fields (RFC 9110 §7.6.1), and those that Connection names, never pass.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "egress/http1_parser.h"

namespace saw::egress {

struct Denial {
  uint16_t status = 403;
  std::string code;    // "policy.default_deny": stable
  std::string reason;  // for a reader
  std::string layer = "runtime";
  std::string rule;           // or empty
  std::string ask;            // how to ask for it
  std::string review;         // id, when a person decided
  int64_t retry_after_s = 0;  // 0: waiting does not help
};
Denial unrecordable();  // the audit log takes nothing
std::string denial_response(const Denial& denial, std::string_view request_method, Persistence persistence);

// A field that must not be forwarded in either direction.
bool is_hop_by_hop(std::string_view name, const Fields& fields);
// Whether some server may take the field for that one: CGI and its heirs read '_' and '-' alike (RFC 3875
// §4.1.18).
bool may_be_taken_for(std::string_view name, std::string_view other);

struct BodyPlan {
  Framing framing = Framing::none;  // none, length or chunked
  uint64_t length = 0;
};

struct UpstreamRequest {
  std::string_view method, target, authority;
  BodyPlan body;
  // With a credential: this field is added, and what the agent sent under its name is dropped; so is what
  // would let an answer come in a form that cannot be searched for the secret: another coding, or piece by
  // piece.
  std::string_view credential_header, credential_value;
  // readable: nothing that would let the answer come in another coding, or piece by piece.
  enum class Answer : uint8_t { any, readable } answer = Answer::any;
  // Not empty: the only types that are asked for, and whole, whatever the agent has already.
  std::string_view accept;
  // websocket: asks for it, without any extension.
  enum class Upgrade : uint8_t { none, websocket } upgrade = Upgrade::none;
};
std::string upstream_head(const UpstreamRequest& request, const Fields& fields);

// `value(field)` gives the value to send (secrets replaced).
template <class Value>
std::string downstream_head(const ResponseHead& head, BodyPlan body, Persistence persistence, Value&& value);

// ---- implementation
std::string status_line(uint16_t status, std::string_view reason);
std::string framing_fields(BodyPlan body, Persistence persistence);
bool is_framing(std::string_view name);

template <class Value>
std::string downstream_head(const ResponseHead& head, BodyPlan body, Persistence persistence, Value&& value) {
  std::string out = status_line(head.status, head.reason);
  for (const Field& f : head.fields) {
    if (is_hop_by_hop(f.name, head.fields)) continue;
    // Without a body the length is information (HEAD, 304) and passes; 204 and 1xx have none (RFC 9110 §8.6).
    if (is_framing(f.name) && (body.framing != Framing::none || head.status == 204)) continue;
    out.append(f.name).append(": ").append(value(f)).append("\r\n");
  }
  return out + framing_fields(body, persistence) + "\r\n";
}

}  // namespace saw::egress
