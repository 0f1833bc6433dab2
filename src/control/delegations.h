// Delegations: made by a person for an agent, or from inside by an agent for a sub-agent of its own; listed,
// shown with their chain, ended.
//
//   DelegationView d = SAW_TRY(delegations.create(caller, workspace, {.agent = "coder", .task = "…", …}));
//   auto chain = SAW_TRY(delegations.in_force("dg-…"));          // every link, now
//   SAW_TRY(delegations.count_call(*chain));                     // "identity.delegation_used_up"
//
// A record is stored only if the whole chain with it resolves: what is kept was within its parent when it was
// made, and is checked again whenever it is used (identity/chain.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/agents.h"
#include "control/registry.h"

namespace saw::control {

class Delegations {
 public:
  static constexpr size_t kMaxPerSponsor = 10'000;
  static constexpr Nanos kDefaultLifetime = 60 * kMinute;

  Delegations(Plane& plane, Agents& agents, const StoreRegistry& registry, identity::Resolver& resolver)
      : plane_(plane), agents_(agents), registry_(registry), resolver_(resolver) {}

  // By the sponsor, who owns the workspace.
  Result<DelegationView> create(const Caller& caller, const identity::WorkspaceRef& workspace,
                                const DelegationSpec& spec);
  // By an agent, from its own runtime credential: for a sub-agent spec.name, within what it holds itself (R32).
  Result<DelegationView> create_from_inside(const identity::Authority& authority, const DelegationSpec& spec);

  Result<std::vector<DelegationView>> list(const Caller& caller);
  Result<DelegationView> show(const Caller& caller, std::string_view id);
  // "delegation.not_found" also for those of others.
  Result<store::Delegation> find(const Caller& caller, std::string_view id) const;

  Result<std::shared_ptr<const identity::Chain>> in_force(std::string_view id) {
    return resolver_.chain_in_force(id, plane_.clock.now());
  }
  // Takes one call of each link that has a number of them.
  Result<> count_call(const identity::Chain& chain);

 private:
  struct Hands {
    std::string issuer, sponsor, workspace, agent;
  };
  Result<DelegationView> make(const Hands& hands, const DelegationSpec& spec);
  Result<identity::Delegation> compose(const Hands& hands, const DelegationSpec& spec);
  Result<> inherit(identity::Delegation& child, const DelegationSpec& spec);
  Result<size_t> count_of(const std::string& sponsor) const;
  DelegationView view(const store::Delegation& stored);
  void record(const identity::Delegation& delegation);

  Plane& plane_;
  Agents& agents_;
  const StoreRegistry& registry_;
  identity::Resolver& resolver_;
};

}  // namespace saw::control
