// Delegations and revocations: who may make them, and what becomes of what ran on them.
#include "base/bytes.h"
#include "control/control.h"
#include "identity/jws.h"

namespace saw::control {

using identity::Revocable;

Result<DelegationView> Control::create_delegation(const Caller& caller, std::string_view workspace,
                                                  const DelegationSpec& spec) {
  Workspace* found = SAW_TRY(find(caller, workspace, "delegate"));
  return delegations_.create(caller, {found->record().id, found->record().owner}, spec);
}

Result<DelegationView> Control::delegate_from_inside(std::string_view credential, std::string_view channel,
                                                     const DelegationSpec& spec) {
  SAW_TRY(ready());
  const identity::Authority authority =
      SAW_TRY(resolver_.resolve(credential, channel, plane_.clock.now()), "an agent that delegates");
  return delegations_.create_from_inside(authority, spec);
}

Result<std::vector<DelegationView>> Control::list_delegations(const Caller& caller) {
  SAW_TRY(ready());
  return delegations_.list(caller);
}

Result<DelegationView> Control::show_delegation(const Caller& caller, std::string_view delegation) {
  SAW_TRY(ready());
  return delegations_.show(caller, delegation);
}

// The id that is revoked, if the caller may: an operator everything, everybody else what is theirs.
Result<std::string> Control::revocable(const Caller& caller, Revocable what, std::string_view id) {
  switch (what) {
    case Revocable::delegation:
      return SAW_TRY(delegations_.find(caller, id)).id;
    case Revocable::workspace:
      return SAW_TRY(find(caller, id, "revoke"))->record().id;
    case Revocable::agent: {
      const AgentView agent = SAW_TRY(agents_.show(caller, identity::registered_agent(id)));
      const size_t sub_agent = id.find('/');
      return agent.id + std::string(sub_agent == std::string_view::npos ? "" : id.substr(sub_agent));
    }
    case Revocable::sponsor:
    case Revocable::user:
    case Revocable::credential:
    case Revocable::key:
      break;
  }
  if (caller.role != Role::operator_)
    return Error::make("access.operator_only", "only an operator can revoke a {}", identity::name(what));
  constexpr size_t kMaxId = 256;
  if (id.empty() || id.size() > kMaxId) return Error::make("request.id", "an id of 1 to {} bytes", kMaxId);
  return std::string(id);
}

Result<> Control::revoke(const Caller& caller, std::string_view kind, std::string_view id,
                         const std::string& why) {
  SAW_TRY(ready());
  const auto what = identity::parse_revocable(kind);
  if (!what)
    return Error::make("request.kind",
                       "'{}' cannot be revoked: agent, delegation, credential, workspace, sponsor, user, key",
                       printable(kind, 80));
  const std::string exact = SAW_TRY(revocable(caller, *what, id));
  // A registered agent has a life cycle, of which this is the end.
  if (*what == Revocable::agent && !exact.contains('/'))
    SAW_TRY(agents_.change(caller, exact, AgentVerb::revoke));
  auto added = revocations_.add(plane_, *what, exact, {.by = caller.sponsor, .why = why});
  authority_changed();
  return added;
}

// After the store and the epoch know: commands end, channels close.
void Control::authority_changed() {
  commands_.end_unauthorized();
  workspaces_.each([](Workspace& w) { w.authority_changed(); });
}

Result<std::vector<RevocationView>> Control::list_revocations(const Caller& caller) const {
  SAW_TRY(ready());
  std::vector<RevocationView> out;
  for (const store::Revocation& r : SAW_TRY(options_.store.revocations()))
    if (caller.role == Role::operator_ || r.by == caller.sponsor)
      out.push_back({.kind = r.kind, .id = r.id, .by = r.by, .why = r.why, .time = r.time});
  return out;
}

Result<WhoView> Control::whoami(const Caller& caller) {
  SAW_TRY(ready());
  WhoView out{.sponsor = caller.sponsor,
              .role = caller.role == Role::operator_ ? "operator" : "user",
              .node = hello_.node,
              .key_id = identity::key_id(options_.keys.credential.public_key())};
  for (const AgentView& agent : SAW_TRY(agents_.list(caller))) out.agents += agent.sponsor == caller.sponsor;
  for (const store::Delegation& d : SAW_TRY(options_.store.delegations()))
    out.delegations += d.sponsor == caller.sponsor;
  workspaces_.each([&](Workspace& w) { out.workspaces += w.record().owner == caller.sponsor; });
  return out;
}

std::string Control::jwks() const {
  return identity::jwks(options_.keys.credential.public_key());
}

}  // namespace saw::control
