#include "control/delegations.h"

#include <algorithm>

#include "base/bytes.h"

namespace saw::control {
namespace {

using identity::Chain;
using identity::Delegation;

std::string counter_of(std::string_view id) {
  return fmt::format("delegation.calls.{}", id);
}

Result<identity::Grant> to_grant(const DelegationSpec::Grant& spec) {
  identity::Grant grant{.actions = {}, .tools = spec.tools, .resources = spec.resources, .labels = 0};
  for (const std::string& text : spec.actions) {
    const auto action = identity::parse_action_class(text);
    if (!action)
      return Error::make("request.grant",
                         "'{}' is no action class: execute, read, search, summarise, draft, change, delete, "
                         "send, publish",
                         printable(text, 80));
    grant.actions.push_back(*action);
  }
  for (const std::string& text : spec.labels) {
    const auto label = identity::parse_label(text);
    if (!label)
      return Error::make("request.grant", "'{}' is no label: private, untrusted", printable(text, 80));
    grant.labels |= *label;
  }
  return grant;
}

DelegationSpec::Grant to_spec(const identity::Grant& grant) {
  DelegationSpec::Grant out{.actions = {}, .tools = grant.tools, .resources = grant.resources, .labels = {}};
  for (identity::ActionClass action : grant.actions) out.actions.emplace_back(identity::name(action));
  for (std::string_view label : identity::names(grant.labels)) out.labels.emplace_back(label);
  return out;
}

DelegationView to_view(const Delegation& d) {
  DelegationView v{.id = d.id,
                   .issuer = d.issuer,
                   .user = d.user,
                   .sponsor = d.sponsor,
                   .workspace = d.workspace,
                   .agent = d.agent,
                   .task = d.task,
                   .approval = std::string(identity::name(d.approval)),
                   .parent = d.parent.id,
                   .audit = d.audit,
                   .issued = d.issued * kSecond,
                   .not_before = d.not_before * kSecond,
                   .expires = d.expires * kSecond,
                   .calls = d.calls,
                   .depth = d.depth};
  for (const identity::Grant& grant : d.grants) v.grants.push_back(to_spec(grant));
  return v;
}

// What is stored, and one record that is to be.
class WithOne final : public identity::DelegationSource {
 public:
  WithOne(const identity::DelegationSource& stored, std::string id, std::string record)
      : stored_(stored), id_(std::move(id)), record_(std::move(record)) {}
  std::vector<std::string> records(std::string_view id) const override {
    auto out = stored_.records(id);
    if (id == id_) out.push_back(record_);
    return out;
  }

 private:
  const identity::DelegationSource& stored_;
  std::string id_, record_;
};

}  // namespace

Result<DelegationView> Delegations::create(const Caller& caller, const identity::WorkspaceRef& workspace,
                                           const DelegationSpec& spec) {
  if (workspace.owner != caller.sponsor)
    return Error::make("access.not_sponsor", "only '{}' can delegate authority in this workspace",
                       workspace.owner);
  const store::Agent agent = SAW_TRY(agents_.resolve(caller.sponsor, spec.agent));
  SAW_TRY(agents_.check(agent.id));
  std::string holder = agent.id;
  if (!spec.name.empty()) {
    SAW_TRY(check_name("sub-agent", spec.name));
    holder += "/" + spec.name;
  }
  return make(
      {.issuer = caller.sponsor, .sponsor = caller.sponsor, .workspace = workspace.id, .agent = holder},
      spec);
}

Result<DelegationView> Delegations::create_from_inside(const identity::Authority& authority,
                                                       const DelegationSpec& spec) {
  if (!authority.chain)
    return Error::make("identity.not_delegated",
                       "agent '{}' acts under no delegation, and has none to hand on",
                       printable(authority.agent_name, 80));
  SAW_TRY(check_name("sub-agent", spec.name));
  DelegationSpec child = spec;
  child.parent = authority.chain->leaf().id;  // whatever it asked for: what it acts under
  return make({.issuer = authority.agent,
               .sponsor = authority.sponsor,
               .workspace = authority.workspace,
               .agent = authority.agent + "/" + spec.name},
              child);
}

// What the child does not say it has from its parent; its expiry is capped (R30).
Result<> Delegations::inherit(Delegation& child, const DelegationSpec& spec) {
  const auto parent = SAW_TRY(in_force(spec.parent), "the parent delegation");
  const Delegation& above = parent->leaf();
  child.parent = {.id = above.id, .digest = parent->digest()};
  child.user = above.user;
  if (spec.grants.empty()) child.grants = above.grants;
  if (spec.calls == 0) child.calls = above.calls;
  if (spec.approval.empty()) child.approval = above.approval;
  if (spec.lifetime_ms == 0 || child.expires > above.expires) child.expires = above.expires;
  return {};
}

Result<Delegation> Delegations::compose(const Hands& hands, const DelegationSpec& spec) {
  if (spec.task.empty() || spec.task.size() > identity::kMaxTask)
    return Error::make("request.task", "a task of 1 to {} bytes is needed", identity::kMaxTask);
  if (spec.grants.empty() && spec.parent.empty())
    return Error::make("request.grant", "say what is delegated: at least one grant");
  const auto approval = identity::parse_approval(spec.approval.empty() ? "policy" : spec.approval);
  if (!approval) return Error::make("request.approval", "approval is 'policy', 'changes' or 'every'");
  const Nanos life = spec.lifetime_ms > 0 ? spec.lifetime_ms * kMillisecond : kDefaultLifetime;
  if (spec.lifetime_ms < 0 || spec.lifetime_ms > identity::kMaxDelegationSeconds * 1000)
    return Error::make("request.lifetime", "a delegation lasts at most {} days",
                       identity::kMaxDelegationSeconds / (24 * 3600));
  const int64_t now = plane_.clock.now() / kSecond;
  Delegation d{.id = random_id("dg-"),
               .issuer = hands.issuer,
               .user = hands.sponsor,
               .sponsor = hands.sponsor,
               .workspace = hands.workspace,
               .agent = hands.agent,
               .task = spec.task,
               .issued = now,
               .not_before = now,
               .expires = now + std::max<int64_t>(1, life / kSecond),
               .calls = spec.calls,
               .depth = spec.depth,
               .approval = *approval,
               .audit = to_hex(random_bytes(16))};
  d.revocation = identity::revocation_reference(d.id);
  for (const DelegationSpec::Grant& grant : spec.grants) d.grants.push_back(SAW_TRY(to_grant(grant)));
  if (!spec.parent.empty()) SAW_TRY(inherit(d, spec));
  if (d.approval != identity::Approval::policy)
    return Error::make("not_available_yet",
                       "a delegation whose actions each wait for a person is not available yet");
  return d;
}

Result<size_t> Delegations::count_of(const std::string& sponsor) const {
  return std::ranges::count(SAW_TRY(plane_.store.delegations()), sponsor, &store::Delegation::sponsor);
}

Result<DelegationView> Delegations::make(const Hands& hands, const DelegationSpec& spec) {
  if (!plane_.audit.available())
    return Error::make("audit.unavailable", "the audit log cannot be written: no authority is given");
  if (SAW_TRY(count_of(hands.sponsor)) >= kMaxPerSponsor)
    return Error::make("delegation.conflict", "{} delegations exist already", kMaxPerSponsor);
  const Delegation delegation = SAW_TRY(compose(hands, spec));
  store::Delegation stored{.id = delegation.id,
                           .sponsor = delegation.sponsor,
                           .workspace = delegation.workspace,
                           .agent = delegation.agent,
                           .parent = delegation.parent.id,
                           .record = identity::seal(delegation, plane_.keys.credential),
                           .created = plane_.clock.now()};
  SAW_TRY(identity::resolve_chain(stored.id, WithOne(registry_, stored.id, stored.record),
                                  plane_.keys.credential.public_key()));
  SAW_TRY(plane_.store.add(stored), "storing the delegation");
  record(delegation);
  return view(stored);
}

void Delegations::record(const Delegation& d) {
  auto e = event<audit::ApiActivity>(
      plane_, {.sponsor = d.sponsor, .agent = d.agent, .workspace = d.workspace, .trace = d.audit},
      audit::Verdict::allowed,
      fmt::format("{} delegated to agent '{}' until {}: {} ({}{})", printable(d.issuer, 80),
                  printable(d.agent, 80), rfc3339(d.expires * kSecond), printable(d.task), d.id,
                  d.parent.id.empty() ? "" : ", from " + d.parent.id));
  e.activity = audit::ApiActivity::Activity::create;
  e.operation = "delegation.create";
  e.object_kind = "delegation";
  e.object_id = d.id;
  plane_.audit.record(audit::api_activity(e));
}

Result<store::Delegation> Delegations::find(const Caller& caller, std::string_view id) const {
  auto found = SAW_TRY(plane_.store.delegation(id));
  if (!found || (found->sponsor != caller.sponsor && caller.role != Role::operator_))
    return Error::make("delegation.not_found", "there is no delegation '{}'", printable(id, 80));
  return std::move(*found);
}

DelegationView Delegations::view(const store::Delegation& stored) {
  DelegationView out;
  auto opened = identity::open_delegation(stored.record, plane_.keys.credential.public_key());
  if (opened) out = to_view(*opened);
  out.id = stored.id;
  out.record = stored.record;
  out.digest = digest_text(sha256(stored.record));
  out.calls_used = plane_.store.last(counter_of(stored.id)).value_or(0);
  const auto chain = in_force(stored.id);
  out.state = chain ? "in force" : chain.error().code;
  if (!chain) out.reason = chain.error().message;
  if (out.state == "in force" && out.calls != 0 && out.calls_used >= out.calls)
    out.state = "identity.delegation_used_up";
  const auto links = resolver_.chain(stored.id);
  if (!links) return out;
  for (size_t i = 1; i < (*links)->links().size(); ++i) {
    DelegationView& parent = out.chain.emplace_back(to_view((*links)->links()[i]));
    parent.calls_used = plane_.store.last(counter_of(parent.id)).value_or(0);
    const bool revoked = registry_.is_revoked(identity::Revocable::delegation, parent.id);
    parent.state = revoked                                ? "identity.delegation_revoked"
                   : plane_.clock.now() >= parent.expires ? "identity.delegation_expired"
                                                          : "in force";
  }
  return out;
}

Result<std::vector<DelegationView>> Delegations::list(const Caller& caller) {
  std::vector<DelegationView> out;
  for (const store::Delegation& d : SAW_TRY(plane_.store.delegations()))
    if (caller.role == Role::operator_ || d.sponsor == caller.sponsor) out.push_back(view(d));
  return out;
}

Result<DelegationView> Delegations::show(const Caller& caller, std::string_view id) {
  return view(SAW_TRY(find(caller, id)));
}

Result<> Delegations::count_call(const Chain& chain) {
  for (auto link = chain.links().rbegin(); link != chain.links().rend(); ++link) {
    if (link->calls == 0) continue;
    const uint64_t used = SAW_TRY(plane_.store.next(counter_of(link->id)), "counting the delegation's calls");
    if (used > link->calls)
      return Error::make("identity.delegation_used_up", "delegation {} has had its {} calls", link->id,
                         link->calls);
  }
  return {};
}

}  // namespace saw::control
