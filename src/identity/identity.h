// Who acts, and by whose leave: registrations, runtime credentials, and the one way from a credential to
// authority.
//
//   Minted m = mint(key, {.agent = …, .workspace = …, .call = …, .channel = …}, now, ttl);
//   Resolver resolver(key.public_key(), registry, delegations);
//   auto authority = resolver.resolve(m.token, channel, now);
//   if (!authority) deny(authority.error().code);         // "identity.agent_suspended", …: each missing link
//   its own code (R23)
//
// Credentials are JWTs (RFC 7519) signed with EdDSA (RFC 8037), `alg` pinned. `sub` is the agent's SPIFFE ID,
// `aud` this node's runtime, `act` the chain of those who handed authority on (RFC 8693 §4.1, nearest
// outermost, the sponsor innermost), `cnf` binds the call's channel. Nothing here does I/O or reads a clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"
#include "identity/chain.h"

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

// What can be taken back, each by its id.
enum class Revocable : uint8_t { sponsor, user, agent, delegation, credential, workspace, key };
std::string_view name(Revocable);
std::optional<Revocable> parse_revocable(std::string_view);

// What the resolver needs to know, behind an interface that the store and the tests implement.
class Registry {
 public:
  virtual ~Registry() = default;
  virtual std::optional<Registration> agent(std::string_view id) const = 0;
  virtual std::optional<Sponsor> sponsor(std::string_view id) const = 0;
  virtual std::optional<WorkspaceRef> workspace(std::string_view id) const = 0;
  virtual bool is_revoked(Revocable what, std::string_view id) const = 0;
  // Grows with every revocation: nothing that was found out before is believed after.
  virtual uint64_t epoch() const = 0;
  // Whether the call is under way. A credential outlives its call by nothing (R21).
  virtual bool is_live(std::string_view call) const = 0;
};

struct CredentialRequest {
  std::string issuer;  // the node; the trust domain of its SPIFFE IDs
  std::string agent, sponsor, workspace, session, call, channel, policy_digest;
  uint64_t agent_version = 1;
  // Empty without a delegation; `actors` then is the sponsor alone.
  std::string delegation, delegation_digest;
  std::vector<std::string> actors;
  Nanos no_later = 0;  // the end of what it was delegated; 0: none
};
struct Minted {
  std::string token, id;  // id: jti
  Nanos expires = 0;
};
constexpr Nanos kMaxCredentialTtl = 60 * kSecond;
// `ttl` is capped at kMaxCredentialTtl and at request.no_later.
Minted mint(const SigningKey& key, const CredentialRequest& request, Nanos now, Nanos ttl);
// The request's members that a chain decides.
void delegate(CredentialRequest& request, const Chain& chain);

std::string spiffe_id(std::string_view trust_domain, std::string_view workspace, std::string_view agent);

struct Authority {
  std::string credential_id, agent, agent_name, sponsor, workspace, session, call, policy_digest;
  Nanos expires = 0;
  std::shared_ptr<const Chain> chain;  // null: the sponsor's own standing authority

  // Whether the delegation, if there is one, permits it: "identity.not_delegated" otherwise.
  Result<> check(const Action& action) const;
};

// The one path from a credential to authority. Signatures that were good are remembered, by digest, until the
// revocation epoch changes.
class Resolver {
 public:
  static constexpr size_t kMaxRemembered = 4096;

  Resolver(std::string public_key, const Registry& registry, const DelegationSource& delegations);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // `channel`: where the credential was presented; another one than it was minted for is refused (R21, R22).
  Result<Authority> resolve(std::string_view token, std::string_view channel, Nanos now);
  // The links behind a credential that was resolved before: whether they hold still.
  Result<> check_again(const Authority& authority, Nanos now);
  Result<std::shared_ptr<const Chain>> chain(std::string_view delegation);
  // As chain(), and that every link of it is in force now.
  Result<std::shared_ptr<const Chain>> chain_in_force(std::string_view delegation, Nanos now);

 private:
  struct Claims;
  struct Memory;
  Result<std::shared_ptr<const Claims>> open(std::string_view token);
  Result<> check_links(const Authority& authority, Nanos now);
  Result<> check_chain(const Chain& chain, Nanos now) const;
  Result<> check_delegated(const Claims& claims, Authority& authority);
  void follow_epoch();

  const std::string public_key_;
  const Registry& registry_;
  const DelegationSource& delegations_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace saw::identity
