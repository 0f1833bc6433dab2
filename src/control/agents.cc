#include "control/agents.h"

#include <algorithm>

#include "base/bytes.h"
#include "identity/identity.h"

namespace saw::control {
namespace {

using identity::AgentState;

AgentView to_view(const store::Agent& a) {
  return {.id = a.id,
          .name = a.name,
          .sponsor = a.sponsor,
          .purpose = a.purpose,
          .state = a.state,
          .version = a.version,
          .expires = a.expires};
}

constexpr std::string_view kNameBytes = "abcdefghijklmnopqrstuvwxyz0123456789-";
constexpr size_t kMaxName = 63;

std::string_view verb_name(AgentVerb verb) {
  switch (verb) {
    case AgentVerb::suspend:
      return "suspend";
    case AgentVerb::resume:
      return "resume";
    case AgentVerb::revoke:
      return "revoke";
  }
  return "?";
}

}  // namespace

Result<> check_name(std::string_view what, std::string_view name) {
  if (name.empty() || name.size() > kMaxName || name.front() == '-' ||
      name.find_first_not_of(kNameBytes) != name.npos)
    return Error::make("request.name",
                       "{} name '{}': lower-case letters, digits and '-', at most {} characters", what,
                       printable(name, 80), kMaxName);
  return {};
}

Result<store::Agent> Agents::resolve(const std::string& sponsor, std::string_view agent) {
  if (agent.empty()) agent = kDefault;
  if (auto named = SAW_TRY(plane_.store.agent_named(sponsor, agent))) return std::move(*named);
  auto by_id = SAW_TRY(plane_.store.agent(agent));
  if (by_id && by_id->sponsor == sponsor) return std::move(*by_id);
  if (agent != kDefault)
    return Error::make("identity.agent_unknown", "sponsor {} has no agent '{}'", sponsor,
                       printable(agent, 80));
  return insert(sponsor, kDefault, "registered by SAW on first use, for commands that name no agent");
}

Result<> Agents::check(std::string_view holder) const {
  const std::string_view agent_id = identity::registered_agent(holder);
  const auto agent = SAW_TRY(plane_.store.agent(agent_id));
  if (!agent)
    return Error::make("identity.agent_unknown", "agent '{}' is not registered", printable(agent_id, 80));
  if (barred_.contains(agent_id))
    return Error::make("identity.agent_suspended", "agent '{}' is suspended", agent->name);
  if (agent->state != identity::name(AgentState::active))
    return Error::make("identity.agent_" + agent->state, "agent '{}' is {}", agent->name, agent->state);
  if (agent->expires != 0 && plane_.clock.now() >= agent->expires)
    return Error::make("identity.agent_expired", "the registration of agent '{}' has expired", agent->name);
  for (auto what : {identity::Revocable::sponsor, identity::Revocable::user})
    if (revocations_.contains(what, agent->sponsor))
      return Error::make(fmt::format("identity.{}_revoked", identity::name(what)), "{} '{}' is revoked",
                         identity::name(what), agent->sponsor);
  return {};
}

Result<store::Agent> Agents::insert(const std::string& sponsor, std::string_view name,
                                    const std::string& purpose) {
  if (!SAW_TRY(plane_.store.sponsor(sponsor)))
    SAW_TRY(plane_.store.put(store::Sponsor{.id = sponsor}), "registering the sponsor");
  store::Agent agent{.id = random_id("ag-"),
                     .sponsor = sponsor,
                     .name = std::string(name),
                     .purpose = purpose,
                     .state = std::string(identity::name(AgentState::active)),
                     .created = plane_.clock.now()};
  SAW_TRY(plane_.store.put(agent), "registering an agent");
  record(agent, sponsor, "register");
  return agent;
}

Result<AgentView> Agents::add(const Caller& caller, const std::string& name, const std::string& purpose) {
  SAW_TRY(check_name("agent", name));
  SAW_TRY(can_be_recorded());
  if (purpose.empty() || purpose.size() > kMaxPurpose)
    return Error::make("request.purpose", "a purpose of 1 to {} bytes is needed", kMaxPurpose);
  if (SAW_TRY(plane_.store.agent_named(caller.sponsor, name)))
    return Error::make("agent.conflict", "agent '{}' exists", name);
  if (SAW_TRY(list(caller)).size() >= kMaxPerSponsor)
    return Error::make("agent.conflict", "{} agents are registered already", kMaxPerSponsor);
  return to_view(SAW_TRY(insert(caller.sponsor, name, purpose)));
}

Result<std::vector<AgentView>> Agents::list(const Caller& caller) const {
  std::vector<AgentView> out;
  for (const store::Agent& agent : SAW_TRY(plane_.store.agents()))
    if (caller.role == Role::operator_ || agent.sponsor == caller.sponsor) out.push_back(to_view(agent));
  return out;
}

// One's own by name or id; an operator also reaches others', by id, or by a name that only one of them bears.
Result<store::Agent> Agents::find(const Caller& caller, std::string_view agent) const {
  if (auto named = SAW_TRY(plane_.store.agent_named(caller.sponsor, agent))) return std::move(*named);
  auto by_id = SAW_TRY(plane_.store.agent(agent));
  if (by_id && (by_id->sponsor == caller.sponsor || caller.role == Role::operator_)) return std::move(*by_id);
  if (caller.role == Role::operator_) {
    auto all = SAW_TRY(plane_.store.agents());
    if (std::ranges::count(all, agent, &store::Agent::name) == 1)
      return *std::ranges::find(all, agent, &store::Agent::name);
  }
  return Error::make("agent.not_found", "there is no agent '{}'", printable(agent, 80));
}

Result<AgentView> Agents::show(const Caller& caller, std::string_view agent) const {
  return to_view(SAW_TRY(find(caller, agent)));
}

Result<AgentView> Agents::change(const Caller& caller, std::string_view name, AgentVerb verb) {
  store::Agent agent = SAW_TRY(find(caller, name));
  const AgentState wanted = verb == AgentVerb::suspend  ? AgentState::suspended
                            : verb == AgentVerb::resume ? AgentState::active
                                                        : AgentState::revoked;
  if (agent.state == identity::name(wanted) && !barred_.contains(agent.id))
    return to_view(agent);  // idempotent
  if (agent.state == identity::name(AgentState::revoked))
    return Error::make("agent.conflict", "agent '{}' is revoked for good", agent.name);
  if (verb == AgentVerb::resume) SAW_TRY(can_be_recorded());  // taking authority away never waits
  agent.state = identity::name(wanted);
  ++agent.version;
  if (auto stored = plane_.store.put(agent); !stored) {
    if (verb != AgentVerb::resume && barred_.insert(agent.id).second) {
      record(agent, caller.sponsor, verb_name(verb));
      on_change_(agent);
    }
    return std::unexpected(std::move(stored).error().within(
        verb == AgentVerb::resume ? "nothing changed"
                                  : "the agent can do nothing until SAW restarts, but this was not stored"));
  }
  barred_.erase(agent.id);
  record(agent, caller.sponsor, verb_name(verb));
  on_change_(agent);
  return to_view(agent);
}

Result<> Agents::can_be_recorded() const {
  if (plane_.audit.available()) return {};
  return Error::make("audit.unavailable", "the audit log cannot be written: no authority is given");
}

void Agents::record(const store::Agent& agent, const std::string& by, std::string_view verb) {
  auto e = event<audit::ApiActivity>(
      plane_, {.sponsor = by, .agent = agent.id}, audit::Verdict::allowed,
      fmt::format("{}: {} agent '{}' ({}), version {}", by, verb, agent.name, agent.id, agent.version));
  e.activity =
      verb == "register" ? audit::ApiActivity::Activity::create : audit::ApiActivity::Activity::update;
  e.operation = fmt::format("agent.{}", verb);
  e.object_kind = "agent";
  e.object_id = agent.id;
  e.object_name = agent.name;
  plane_.audit.record(audit::api_activity(e));
}

}  // namespace saw::control
