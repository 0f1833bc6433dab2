// A delegation: one signed record that lets an agent act for a person, on one task, in one workspace, within
// stated bounds (R27, R28). A record with a parent hands on part of what the parent holds, never more (R30).
//
//   Delegation root{.id = "dg-1", .issuer = "uid:1000", .user = "uid:1000", .sponsor = "uid:1000", …};
//   std::string record = seal(root, key);             // a JWS (EdDSA)
//   Delegation again = SAW_TRY(open_delegation(record, key.public_key()));   // every member is required
//   SAW_TRY(check_narrower(child, parent));           // "identity.delegation_widens" with an example
//
// A sub-agent is named by its maker: "ag-1/reviewer" belongs to the registered agent "ag-1", and lives no
// longer (R32). Nothing here does I/O or reads a clock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/crypto.h"
#include "identity/scope.h"

namespace saw::identity {

// When a person is asked: as the policy says; before each change, too; before every action.
enum class Approval : uint8_t { policy, changes, every };
std::string_view name(Approval approval);
std::optional<Approval> parse_approval(std::string_view text);

constexpr size_t kMaxDelegationDepth = 6;
constexpr size_t kMaxRecordBytes = 16u << 10, kMaxChainBytes = 64u << 10;
constexpr size_t kMaxTask = 500;
constexpr int64_t kMaxDelegationSeconds = 90LL * 24 * 3600;

struct ParentRef {
  std::string id, digest;  // of the parent's record, "sha256:…"; both empty: a root
};

struct Delegation {
  std::string id, issuer;  // issuer: the sponsor, or the agent that holds the parent
  ParentRef parent;
  std::string user, sponsor, workspace, agent;  // the four identities
  std::string task;
  std::vector<Grant> grants;
  int64_t issued = 0, not_before = 0, expires = 0;  // seconds
  uint64_t calls = 0;                               // in all, those of children included; 0: not counted
  uint64_t depth = 0;                               // how often it may be handed on
  Approval approval = Approval::policy;
  std::string revocation, audit;  // what to revoke ("delegation/<id>"); the trace that its events carry
};

// The registered agent that `agent` is, or belongs to.
std::string_view registered_agent(std::string_view agent);
std::string revocation_reference(std::string_view id);

std::string seal(const Delegation& delegation, const SigningKey& key);
// Codes: "identity.delegation_malformed" (a member is missing, unknown or impossible), "…_alg", "…_signature".
Result<Delegation> open_delegation(std::string_view record, std::string_view public_key);

// Whether `child` holds no more than `parent`: identities, window, calls, depth, approval and scope. Each
// excess has its code: "identity.delegation_identity", "…_issuer", "…_time", "…_calls", "…_depth",
// "…_approval", "…_widens".
Result<> check_narrower(const Delegation& child, const Scope& child_scope, const Delegation& parent,
                        const Scope& parent_scope);

}  // namespace saw::identity
