// Who acts, and by whose leave: registrations, runtime credentials, and the one pure function that resolves a
// credential to authority.
//
//   Minted m = mint(key, {.agent = …, .workspace = …, .call = …, .channel = …}, now, ttl);
//   auto authority = resolve(m.token, key.public_key(), registry, channel, now);
//   if (!authority) deny(authority.error().code);         // "identity.agent_suspended", …: each missing link
//   its own code (R23)
//
// Credentials are JWTs (RFC 7519) signed with EdDSA (RFC 8037), `alg` pinned; `act` names the sponsor (RFC
// 8693 §4.1), `cnf` binds the call's channel. Nothing here does I/O or reads a clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"

namespace saw::identity {

enum class AgentState : uint8_t { pending, active, suspended, revoked };
std::string_view name(AgentState);
std::optional<AgentState> parse_agent_state(std::string_view);

struct Registration {
  std::string id, name, sponsor, purpose;
  uint64_t version = 1;  // monotonic; a credential names the version it was minted for (R26)
  AgentState state = AgentState::pending;
  Nanos expires = 0;  // 0: does not expire
};
struct Sponsor {
  std::string id;  // "uid:1000" for a local user
  bool enabled = true;
};
struct WorkspaceRef {
  std::string id, owner;  // owner: sponsor id
};

// What resolve() needs to know, behind an interface that the store and the tests implement.
class Registry {
 public:
  virtual ~Registry() = default;
  virtual std::optional<Registration> agent(std::string_view id) const = 0;
  virtual std::optional<Sponsor> sponsor(std::string_view id) const = 0;
  virtual std::optional<WorkspaceRef> workspace(std::string_view id) const = 0;
  virtual bool is_revoked(std::string_view credential_id) const = 0;
};

struct CredentialRequest {
  std::string issuer;  // the node
  std::string agent, sponsor, workspace, session, call, channel, policy_digest;
  uint64_t agent_version = 1;
};
struct Minted {
  std::string token, id;  // id: jti
  Nanos expires = 0;
};
constexpr Nanos kMaxCredentialTtl = 60 * kSecond;
// `ttl` is capped at kMaxCredentialTtl.
Minted mint(const SigningKey& key, const CredentialRequest& request, Nanos now, Nanos ttl);

struct Authority {
  std::string credential_id, agent, agent_name, sponsor, workspace, session, call, policy_digest;
  Nanos expires = 0;
};
// `channel`: where the credential was presented; another one than it was minted for is refused (R21, R22).
Result<Authority> resolve(std::string_view token, std::string_view public_key, const Registry& registry,
                          std::string_view channel, Nanos now);

}  // namespace saw::identity
