#include "identity/identity.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "identity/credential.h"
#include "identity/jws.h"

namespace saw::identity {
namespace {

std::unexpected<Error> refuse(std::string_view code, std::string message) {
  return std::unexpected(Error{fmt::format("identity.{}", code), std::move(message), 0});
}

Result<> check_use(const CredentialClaims& c, std::string_view channel, Nanos now) {
  if (c.expires - c.not_before > kMaxCredentialTtl / kSecond)
    return refuse("too_long_lived", fmt::format("credential {} would live longer than {} s", c.id,
                                                kMaxCredentialTtl / kSecond));
  if (now < c.not_before * kSecond)
    return refuse("not_yet_valid", fmt::format("credential {} is not valid yet", c.id));
  if (now >= c.expires * kSecond) return refuse("expired", fmt::format("credential {} has expired", c.id));
  if (!constant_time_equal(c.who.channel, channel))
    return refuse("channel", fmt::format("credential {} was minted for another channel", c.id));
  return {};
}

Result<> check_agent(const Registration& agent, Nanos now) {
  switch (agent.state) {
    case AgentState::pending:
      return refuse("agent_pending", fmt::format("agent '{}' is not approved yet", agent.name));
    case AgentState::suspended:
      return refuse("agent_suspended", fmt::format("agent '{}' is suspended", agent.name));
    case AgentState::revoked:
      return refuse("agent_revoked", fmt::format("agent '{}' is revoked", agent.name));
    case AgentState::active:
      break;
  }
  if (agent.expires != 0 && now >= agent.expires)
    return refuse("agent_expired", fmt::format("the registration of agent '{}' has expired", agent.name));
  return {};
}

// A sub-agent, and each agent that it belongs to.
template <class Check> Result<> with_makers(std::string_view agent, Check check) {
  for (size_t end = agent.find('/');; end = agent.find('/', end + 1)) {
    SAW_TRY(check(agent.substr(0, end)));
    if (end == std::string_view::npos) return {};
  }
}

Result<> check_not_revoked(const Registry& registry, Revocable what, std::string_view id) {
  if (!registry.is_revoked(what, id)) return {};
  return refuse(what == Revocable::credential ? "revoked" : fmt::format("{}_revoked", name(what)),
                fmt::format("{} '{}' is revoked", name(what), printable(id, 80)));
}

Result<Registration> check_actor(const Registry& registry, std::string_view id, Nanos now) {
  const auto agent = registry.agent(registered_agent(id));
  if (!agent) return refuse("agent_unknown", fmt::format("agent '{}' is not registered", printable(id, 80)));
  SAW_TRY(check_agent(*agent, now));
  SAW_TRY(with_makers(
      id, [&](std::string_view each) { return check_not_revoked(registry, Revocable::agent, each); }));
  return *agent;
}

Result<> check_sponsor(const Registry& registry, std::string_view id) {
  auto sponsor = registry.sponsor(id);
  if (!sponsor) return refuse("sponsor_unknown", fmt::format("sponsor '{}' is not known", id));
  if (!sponsor->enabled) return refuse("sponsor_disabled", fmt::format("sponsor '{}' is disabled", id));
  SAW_TRY(check_not_revoked(registry, Revocable::sponsor, id));
  return check_not_revoked(registry, Revocable::user, id);
}

Result<> check_workspace(const Registry& registry, std::string_view id, std::string_view sponsor) {
  auto workspace = registry.workspace(id);
  if (!workspace) return refuse("workspace_unknown", fmt::format("workspace '{}' is not known", id));
  if (workspace->owner != sponsor)
    return refuse("workspace_owner", fmt::format("workspace '{}' does not belong to '{}'", id, sponsor));
  return check_not_revoked(registry, Revocable::workspace, id);
}

template <class Enum, size_t n>
std::string_view name_in(const std::array<std::string_view, n>& names, Enum value) {
  return static_cast<size_t>(value) < n ? names[static_cast<size_t>(value)] : "unknown";
}
template <class Enum, size_t n>
std::optional<Enum> parse_in(const std::array<std::string_view, n>& names, std::string_view text) {
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) return {};
  return static_cast<Enum>(found - names.begin());
}

constexpr std::array<std::string_view, 4> kStates = {"pending", "active", "suspended", "revoked"};
constexpr std::array<std::string_view, 7> kRevocables = {"sponsor",    "user",      "agent", "delegation",
                                                         "credential", "workspace", "key"};

}  // namespace

std::string_view name(AgentState state) {
  return name_in(kStates, state);
}
std::optional<AgentState> parse_agent_state(std::string_view text) {
  return parse_in<AgentState>(kStates, text);
}
std::string_view name(Revocable what) {
  return name_in(kRevocables, what);
}
std::optional<Revocable> parse_revocable(std::string_view text) {
  return parse_in<Revocable>(kRevocables, text);
}

Result<> Authority::check(const Action& action) const {
  if (!chain || chain->scope().permits(action)) return {};
  return refuse("not_delegated",
                fmt::format("delegation {} does not permit agent '{}' to {} with tool '{}' on '{}'",
                            chain->leaf().id, printable(agent, 80), name(action.action),
                            printable(action.tool, 80), printable(action.resource)));
}

struct Resolver::Claims : CredentialClaims {
  std::string agent_version_of;  // the registered agent whose version it names
};

// By digest of what was verified.
struct Resolver::Memory {
  uint64_t epoch = 0;
  std::unordered_map<std::string, std::shared_ptr<const Claims>> credentials;
  std::unordered_map<std::string, std::shared_ptr<const Chain>> chains;
};

Resolver::Resolver(std::string public_key, const Registry& registry, const DelegationSource& delegations)
    : public_key_(std::move(public_key)),
      registry_(registry),
      delegations_(delegations),
      memory_(std::make_unique<Memory>()) {}
Resolver::~Resolver() = default;

void Resolver::follow_epoch() {
  const uint64_t epoch = registry_.epoch();
  if (memory_->epoch == epoch && memory_->credentials.size() < kMaxRemembered &&
      memory_->chains.size() < kMaxRemembered)
    return;
  memory_->credentials.clear();
  memory_->chains.clear();
  memory_->epoch = epoch;
}

Result<std::shared_ptr<const Resolver::Claims>> Resolver::open(std::string_view token) {
  const Digest digest = sha256(token);
  auto& known = memory_->credentials[std::string(view(digest))];
  if (known) return known;
  auto opened = open_credential(token, public_key_);
  if (!opened) {
    memory_->credentials.erase(std::string(view(digest)));
    return std::unexpected(std::move(opened).error());
  }
  auto claims = std::make_shared<Claims>(Claims{std::move(*opened), {}});
  claims->agent_version_of = registered_agent(claims->who.agent);
  known = claims;
  return std::shared_ptr<const Claims>(std::move(claims));
}

Result<std::shared_ptr<const Chain>> Resolver::chain(std::string_view delegation) {
  follow_epoch();
  if (const auto known = memory_->chains.find(std::string(delegation)); known != memory_->chains.end())
    return known->second;
  auto chain = SAW_TRY(resolve_chain(delegation, delegations_, public_key_));
  memory_->chains.emplace(delegation, chain);
  return chain;
}

Result<> Resolver::check_chain(const Chain& chain, Nanos now) const {
  for (const Delegation& link : chain.links()) {
    SAW_TRY(check_not_revoked(registry_, Revocable::delegation, link.id));
    if (now < link.not_before * kSecond)
      return refuse("delegation_not_yet_valid", fmt::format("delegation {} is not in force yet", link.id));
    if (now >= link.expires * kSecond)
      return refuse("delegation_expired", fmt::format("delegation {} has expired", link.id));
    SAW_TRY(check_actor(registry_, link.agent, now), fmt::format("delegation {}", link.id));
  }
  const Delegation& root = chain.root();
  if (root.user == root.sponsor) return {};
  const auto user = registry_.sponsor(root.user);
  if (!user || !user->enabled)
    return refuse("user_disabled",
                  fmt::format("user '{}' is not known, or disabled", printable(root.user, 80)));
  return check_not_revoked(registry_, Revocable::user, root.user);
}

Result<std::shared_ptr<const Chain>> Resolver::chain_in_force(std::string_view delegation, Nanos now) {
  auto found = SAW_TRY(chain(delegation));
  SAW_TRY(check_chain(*found, now));
  return found;
}

// The credential against the delegation that it names: the same identities, the same hands, no longer life.
Result<> Resolver::check_delegated(const Claims& claims, Authority& authority) {
  const CredentialRequest& who = claims.who;
  if (who.delegation.empty()) {
    if (!who.agent.contains('/')) return {};
    return refuse(
        "delegation_missing",
        fmt::format("sub-agent '{}' holds nothing but what is delegated to it", printable(who.agent, 80)));
  }
  authority.chain = SAW_TRY(chain(who.delegation));
  const Delegation& leaf = authority.chain->leaf();
  if (who.delegation_digest != authority.chain->digest())
    return refuse("delegation_changed", fmt::format("credential {} was minted under another delegation '{}'",
                                                    claims.id, who.delegation));
  if (leaf.agent != who.agent || leaf.sponsor != who.sponsor || leaf.workspace != who.workspace ||
      authority.chain->actors() != who.actors)
    return refuse("delegation_mismatch",
                  fmt::format("delegation {} was not given to agent '{}' for this workspace", leaf.id,
                              printable(who.agent, 80)));
  if (claims.expires > leaf.expires)
    return refuse("outlives_delegation",
                  fmt::format("credential {} would outlive delegation {}", claims.id, leaf.id));
  return {};
}

Result<> Resolver::check_links(const Authority& a, Nanos now) {
  SAW_TRY(check_not_revoked(registry_, Revocable::key, key_id(public_key_)));
  SAW_TRY(check_not_revoked(registry_, Revocable::credential, a.credential_id));
  if (!registry_.is_live(a.call))
    return refuse("call_over", fmt::format("call '{}' is not under way", printable(a.call, 80)));
  const Registration agent = SAW_TRY(check_actor(registry_, a.agent, now));
  SAW_TRY(check_sponsor(registry_, a.sponsor));
  if (agent.sponsor != a.sponsor)
    return refuse("sponsor_mismatch",
                  fmt::format("agent '{}' is not sponsored by '{}'", agent.name, a.sponsor));
  SAW_TRY(check_workspace(registry_, a.workspace, a.sponsor));
  if (a.chain) SAW_TRY(check_chain(*a.chain, now));
  return {};
}

Result<> Resolver::check_again(const Authority& authority, Nanos now) {
  return check_links(authority, now);
}

Result<Authority> Resolver::resolve(std::string_view token, std::string_view channel, Nanos now) {
  follow_epoch();
  const auto claims = SAW_TRY(open(token));
  const CredentialRequest& who = claims->who;
  SAW_TRY(check_use(*claims, channel, now));
  Authority authority{.credential_id = claims->id,
                      .agent = who.agent,
                      .agent_name = {},
                      .sponsor = who.sponsor,
                      .workspace = who.workspace,
                      .session = who.session,
                      .call = who.call,
                      .policy_digest = who.policy_digest,
                      .expires = claims->expires * kSecond,
                      .chain = nullptr};
  SAW_TRY(check_delegated(*claims, authority));
  SAW_TRY(check_links(authority, now));
  const auto agent = registry_.agent(claims->agent_version_of);
  if (!agent || who.agent_version != agent->version)
    return refuse("agent_version",
                  fmt::format("the credential is for version {} of agent '{}', the registration is at {}",
                              who.agent_version, printable(who.agent, 80), agent ? agent->version : 0));
  authority.agent_name = agent->name + who.agent.substr(claims->agent_version_of.size());
  return authority;
}

}  // namespace saw::identity
