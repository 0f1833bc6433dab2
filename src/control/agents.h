// Agent registrations: who may act for a sponsor. A person registers, suspends, resumes and revokes; nothing
// inside a sandbox can (R24).
//
//   store::Agent agent = SAW_TRY(agents.resolve(caller, ""));        // "": the sponsor's default agent,
//   registered on first use AgentView view = SAW_TRY(agents.change(caller, "coder", AgentVerb::suspend));
//
// Every change makes a new version, so a credential minted before it is refused (R26). Revoked is final
// (R108).
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/revocations.h"

namespace saw::control {

class Agents {
 public:
  static constexpr std::string_view kDefault = "default";
  static constexpr size_t kMaxPurpose = 500, kMaxPerSponsor = 1000;

  // on_change: an agent's state is another one now.
  Agents(Plane& plane, const Revocations& revocations,
         std::move_only_function<void(const store::Agent&)> on_change)
      : plane_(plane), revocations_(revocations), on_change_(std::move(on_change)) {}

  // By id or name, of this sponsor. The default agent (and the sponsor's own record) is made if it is not
  // there.
  Result<store::Agent> resolve(const std::string& sponsor, std::string_view agent);
  // "identity.agent_suspended" and the like when it, or its sponsor, may not act now. A sub-agent may act while
  // the registered agent that it belongs to may.
  Result<> check(std::string_view agent_id) const;
  bool may_act(std::string_view agent_id) const { return check(agent_id).has_value(); }

  Result<AgentView> add(const Caller& caller, const std::string& name, const std::string& purpose);
  Result<std::vector<AgentView>> list(const Caller& caller) const;
  Result<AgentView> show(const Caller& caller, std::string_view agent) const;
  Result<AgentView> change(const Caller& caller, std::string_view agent, AgentVerb verb);

 private:
  Result<store::Agent> find(const Caller& caller, std::string_view agent) const;
  Result<store::Agent> insert(const std::string& sponsor, std::string_view name, const std::string& purpose);
  Result<> can_be_recorded() const;
  void record(const store::Agent& agent, const std::string& by, std::string_view verb);

  Plane& plane_;
  const Revocations& revocations_;
  // Suspended or revoked while the store could not be written: in force until it can, or until a restart.
  std::set<std::string, std::less<>> barred_;
  std::move_only_function<void(const store::Agent&)> on_change_;
};

// Names of agents, workspaces and sessions: [a-z0-9][a-z0-9-]{0,62}. Error "request.name".
Result<> check_name(std::string_view what, std::string_view name);

}  // namespace saw::control
