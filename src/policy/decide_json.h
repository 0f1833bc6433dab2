// One line of `saw policy decide`: a JSON request in, a JSON decision out (docs/cli.md).
//
//   decide_line(policy, R"({"id":"1","host":"api.example.com","method":"GET","target":"/user"})")
//     →
//     {"id":"1","effect":"allow","rule":"network.github.allow[0]","reason":"read","canonical_target":"/user","digest":"sha256:…"}
//
// Total: what cannot be read (syntax, a duplicate or unknown member, a wrong type, more than kMaxDecideLine
// bytes) is answered with effect "deny" and a reason "malformed:…", and with the id if it had been read.
// Beyond docs/cli.md: "binary": true is a binary message of protocol websocket; "published" is when the version asked of a registry was
// published. Needed: host; method and target for http; target for websocket; port for tcp. Other absent members:
// protocol http, tls true (false at port 80), port 443 (80 without TLS).
#pragma once

#include <string>
#include <string_view>

#include "policy/policy.h"

namespace saw::policy {

constexpr size_t kMaxDecideLine = 4u << 20;

std::string decide_line(const Policy& policy, std::string_view json_request);

// SHA-256 over the canonical request: one line each for method, scheme, host:port and canonical target, an
// empty line, and the body. The same request gives the same digest however it was spelled.
Digest request_digest(const Request& request, std::string_view canonical_target);

}  // namespace saw::policy
