// How a workspace takes up the policy of its channel's next release. Dynamic sections (network, credentials, review) count
// from the moment that saw-egress has swapped; static ones (files, limits) for the sandboxes that are made from then on, so
// what was parked with the old ones goes (R76).
#include <algorithm>

#include "base/crypto.h"
#include "base/log.h"
#include "control/workspace.h"

namespace saw::control {

Result<> Workspace::may_act() const {
  if (record_.channel.empty()) return {};
  if (not_projected_) return std::unexpected(*not_projected_);
  SAW_TRY(around_.releases.may_act(record_.channel));
  const release::Verified* release = around_.releases.held(record_.channel);
  if (!release || digest_text(release->policy.digest()) != record_.policy_digest)
    return Error::make("policy.not_projected", "workspace '{}' does not have the policy of channel '{}'",
                       record_.name, record_.channel);
  return {};
}

// Its record with the release's policy; credentials that are new get their placeholders.
Result<store::Workspace> Workspace::with_policy(const release::Verified& release) const {
  if (policy::name(release.policy.profile()) != record_.profile)
    return Error::make("release.profile",
                       "release {} has profile {}, and a workspace's profile never changes",
                       release.manifest.version, policy::name(release.policy.profile()));
  store::Workspace changed = record_;
  changed.policy_yaml = release.policy_text;
  changed.policy_file = fmt::format("{} of channel {}", release.manifest.version, record_.channel);
  changed.policy_name = release.policy.name();
  changed.policy_digest = digest_text(release.policy.digest());
  for (const policy::Credential& credential : release.policy.credentials())
    changed.placeholders.try_emplace(credential.secret, random_id("saw-placeholder-"));
  return changed;
}

// Of everything that a call's sandbox is made from; empty: it cannot be made.
std::string Workspace::static_digest() const {
  const auto calls = calls_to_prepare("");
  if (!calls) return {};
  std::string all = sandbox::plan_digest(calls->plan) + calls->directory;
  for (const std::string& variable : calls->environment) all += '\0' + variable;
  return digest_text(sha256(all));
}

void Workspace::project(const release::Verified& release, Reply<> reply) {
  auto take = [&]() -> Result<> {
    store::Workspace changed = SAW_TRY(with_policy(release));
    auto compiled = policy::Policy::compile(changed.policy_yaml, changed.policy_file);
    if (!compiled) return Error::make("policy.invalid", "{}", compiled.error().front().text());
    SAW_TRY(around_.plane.store.put(changed), "storing the policy");
    record_ = std::move(changed);
    policy_ = HeldPolicy(std::move(*compiled), record_.policy_yaml);
    return {};
  };
  const std::string before = static_digest();
  if (auto taken = take(); !taken)
    return on_projected(std::unexpected(std::move(taken).error()), std::move(reply));
  if (static_digest() != before)
    call_plans_.forget("", alive_.guard([this](Result<> forgotten) {
      if (!forgotten) log_warning("workspace '{}': {}", record_.name, forgotten.error().message);
      if (state_ == WorkspaceState::running) call_plans_.get("", [](const Result<std::string>&) {});
    }));
  egress_.configure(alive_.guard([this, reply = std::move(reply)](Result<std::string> enforced) mutable {
    on_projected(std::move(enforced), std::move(reply));
  }));
}

// `enforced`: the digest that saw-egress names; empty: it does not run, so nothing gets out.
void Workspace::on_projected(Result<std::string> enforced, Reply<> reply) {
  if (enforced && !enforced->empty() && *enforced != record_.policy_digest)
    enforced = Error::make("policy.not_projected", "saw-egress enforces {}, not {}", *enforced,
                           record_.policy_digest);
  if (!enforced) {
    not_projected_ =
        Error{"policy.not_projected",
              fmt::format("the policy of channel '{}' could not be enforced in workspace '{}': {}",
                          record_.channel, record_.name, enforced.error().message),
              0};
    log_error("{}", not_projected_->message);
    authority_changed();
    lifecycle_event(audit::Lifecycle::Activity::other, audit::Verdict::denied, not_projected_->message);
    return reply(std::unexpected(*not_projected_));
  }
  not_projected_.reset();
  authority_changed();
  prove_again();
  reply({});
}

// R117: after each policy change. A surprise ends the sandbox; it is recorded there.
void Workspace::prove_again() {
  auto prove = [this](Cell& cell) {
    if (cell.state() != Cell::State::up) return;
    cell.prove([name = record_.name, sandbox = cell.sandbox()](Result<> proven) {
      if (!proven)
        log_error("workspace '{}': sandbox {} after a change of policy: {}", name, sandbox,
                  proven.error().message);
    });
  };
  prove(*cell_);
  for (auto& [id, session] : sessions_) prove(*session->cell);
}

std::vector<std::string> Workspace::outdated_sandboxes() const {
  std::vector<std::string> out;
  auto look = [&](const Cell& cell, sandbox::Depth depth, const std::string& session) {
    if (cell.state() != Cell::State::up || !cell.proof()) return;
    const auto now = plan(depth, session, cell.sandbox());
    if (!now || sandbox::plan_digest(*now) != cell.proof()->plan_digest) out.push_back(cell.sandbox());
  };
  if (record_.channel.empty()) return out;
  look(*cell_, sandbox::Depth::workspace, "");
  for (const auto& [id, session] : sessions_) look(*session->cell, sandbox::Depth::session, id);
  return out;
}

}  // namespace saw::control
