#include "identity/delegation.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/strict_json.h"
#include "identity/jws.h"
#include "identity/members.h"

namespace saw::identity {
namespace {

using Json = nlohmann::json;

constexpr JwsKind kKind = {.type = "saw-delegation+jws",
                           .prefix = "identity.delegation_",
                           .noun = "delegation",
                           .most = kMaxRecordBytes};
constexpr uint64_t kVersion = 1;
constexpr std::array<std::string_view, 3> kApprovals = {"policy", "changes", "every"};

std::unexpected<Error> refuse(std::string_view code, std::string message) {
  return std::unexpected(Error{fmt::format("identity.delegation_{}", code), std::move(message), 0});
}

Json to_json(const Grant& grant) {
  Json actions = Json::array();
  for (ActionClass action : grant.actions) actions.push_back(name(action));
  return {{"actions", actions},
          {"tools", grant.tools},
          {"resources", grant.resources},
          {"labels", names(grant.labels)}};
}

// nullopt: no grant.
std::optional<Grant> to_grant(const Json& json) {
  Grant grant{.labels = 0};
  constexpr size_t kLabels = 2;
  std::vector<std::string> actions, labels;
  const bool complete = Members(json)
                            .texts("actions", actions, kActionClasses)
                            .texts("tools", grant.tools, Scope::kMaxTools)
                            .texts("resources", grant.resources, Scope::kMaxResources)
                            .texts("labels", labels, kLabels)
                            .complete();
  if (!complete) return {};
  for (const std::string& text : actions) {
    const auto action = parse_action_class(text);
    if (!action) return {};
    grant.actions.push_back(*action);
  }
  for (const std::string& text : labels) {
    const auto label = parse_label(text);
    if (!label) return {};
    grant.labels |= *label;
  }
  return grant;
}

// What no record may leave open, whoever signed it.
bool possible(const Delegation& d) {
  const std::string* const needed[] = {&d.id,        &d.issuer, &d.user, &d.sponsor,
                                       &d.workspace, &d.agent,  &d.task, &d.audit};
  if (std::ranges::any_of(needed, [](const std::string* s) { return s->empty(); })) return false;
  if (d.parent.id.empty() != d.parent.digest.empty()) return false;
  if (d.grants.empty() || d.grants.size() > Scope::kMaxGrants) return false;
  if (d.depth >= kMaxDelegationDepth || d.revocation != revocation_reference(d.id)) return false;
  return d.issued <= d.not_before && d.not_before < d.expires &&
         d.expires - d.not_before <= kMaxDelegationSeconds;
}

std::optional<Delegation> parse(std::string_view text) {
  if (!is_strict_json_object(text)) return {};
  const Json j = Json::parse(text, nullptr, false);
  Delegation d;
  uint64_t version = 0;
  std::string approval;
  Members all(j);
  all.number("v", version).text("id", d.id).text("issuer", d.issuer).text("user", d.user);
  all.text("sponsor", d.sponsor).text("workspace", d.workspace).text("agent", d.agent);
  all.text("task", d.task, kMaxTask).seconds("iat", d.issued).seconds("nbf", d.not_before);
  all.seconds("exp", d.expires).number("calls", d.calls).number("depth", d.depth).text("approval", approval);
  all.text("revocation", d.revocation).text("audit", d.audit);
  const bool parent = all.object("parent").text("id", d.parent.id).text("digest", d.parent.digest).complete();
  for (const Json& item : all.array("grants")) {
    auto grant = to_grant(item);
    if (!grant || d.grants.size() == Scope::kMaxGrants) return {};
    d.grants.push_back(std::move(*grant));
  }
  const auto mode = parse_approval(approval);
  if (!parent || !all.complete() || version != kVersion || !mode) return {};
  d.approval = *mode;
  if (!possible(d)) return {};
  return d;
}

Result<> check_identities(const Delegation& child, const Delegation& parent) {
  if (child.user != parent.user || child.sponsor != parent.sponsor || child.workspace != parent.workspace)
    return refuse("identity",
                  fmt::format("delegation {} is for another user, sponsor or workspace than its parent {}",
                              child.id, parent.id));
  if (child.issuer != parent.agent && child.issuer != parent.sponsor)
    return refuse("issuer", fmt::format("delegation {} was issued by '{}', who does not hold its parent {}",
                                        child.id, printable(child.issuer, 80), parent.id));
  // An agent hands on to sub-agents of its own; only the sponsor names another registered one (R24).
  if (child.issuer == parent.agent && !child.agent.starts_with(parent.agent + "/"))
    return refuse("issuer", fmt::format("agent '{}' can delegate to sub-agents of its own only, not to '{}'",
                                        printable(parent.agent, 80), printable(child.agent, 80)));
  return {};
}

Result<> check_bounds(const Delegation& child, const Delegation& parent) {
  if (child.issued < parent.issued || child.not_before < parent.not_before || child.expires > parent.expires)
    return refuse(
        "time", fmt::format("delegation {} begins before or ends after its parent {}", child.id, parent.id));
  if (parent.calls != 0 && (child.calls == 0 || child.calls > parent.calls))
    return refuse("calls", fmt::format("delegation {} allows more calls than the {} of its parent {}",
                                       child.id, parent.calls, parent.id));
  if (child.depth >= parent.depth)
    return refuse("depth",
                  fmt::format("delegation {} cannot be handed on that often: its parent {} allows {}",
                              child.id, parent.id, parent.depth));
  if (child.approval < parent.approval)
    return refuse("approval", fmt::format("delegation {} asks a person less often than its parent {}",
                                          child.id, parent.id));
  return {};
}

}  // namespace

std::string_view name(Approval approval) {
  return kApprovals[static_cast<size_t>(approval)];
}

std::optional<Approval> parse_approval(std::string_view text) {
  const auto found = std::ranges::find(kApprovals, text);
  if (found == kApprovals.end()) return {};
  return static_cast<Approval>(found - kApprovals.begin());
}

std::string_view registered_agent(std::string_view agent) {
  return agent.substr(0, agent.find('/'));
}

std::string revocation_reference(std::string_view id) {
  return fmt::format("delegation/{}", id);
}

std::string seal(const Delegation& d, const SigningKey& key) {
  Json grants = Json::array();
  for (const Grant& grant : d.grants) grants.push_back(to_json(grant));
  const Json record = {{"v", kVersion},
                       {"id", d.id},
                       {"issuer", d.issuer},
                       {"parent", {{"id", d.parent.id}, {"digest", d.parent.digest}}},
                       {"user", d.user},
                       {"sponsor", d.sponsor},
                       {"workspace", d.workspace},
                       {"agent", d.agent},
                       {"task", d.task},
                       {"grants", std::move(grants)},
                       {"iat", d.issued},
                       {"nbf", d.not_before},
                       {"exp", d.expires},
                       {"calls", d.calls},
                       {"depth", d.depth},
                       {"approval", name(d.approval)},
                       {"revocation", d.revocation},
                       {"audit", d.audit}};
  return seal_jws(kKind, key, record.dump(-1, ' ', true, Json::error_handler_t::replace));
}

Result<Delegation> open_delegation(std::string_view record, std::string_view public_key) {
  const std::string payload = SAW_TRY(open_jws(kKind, public_key, record));
  auto delegation = parse(payload);
  if (!delegation)
    return refuse("malformed", "the delegation's members are not those of a delegation of version 1");
  return std::move(*delegation);
}

Result<> check_narrower(const Delegation& child, const Scope& child_scope, const Delegation& parent,
                        const Scope& parent_scope) {
  SAW_TRY(check_identities(child, parent));
  SAW_TRY(check_bounds(child, parent));
  const auto excess = SAW_TRY(child_scope.excess_over(parent_scope));
  if (excess)
    return refuse("widens", fmt::format("delegation {} would permit {}, which its parent {} does not",
                                        child.id, *excess, parent.id));
  return {};
}

}  // namespace saw::identity
