#include "control/workspaces.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "control/workspace_ca.h"

namespace saw::control {

using store::Desired;

Workspace* Workspaces::by_id(std::string_view id) const {
  auto found = all_.find(id);
  return found == all_.end() || found->second->is_gone() ? nullptr : found->second.get();
}

Workspace* Workspaces::owned(std::string_view owner, std::string_view name) const {
  for (const auto& [id, workspace] : all_)
    if (workspace->record().owner == owner && workspace->record().name == name && !workspace->is_gone())
      return workspace.get();
  return nullptr;
}

// For a workspace that is to be made.
Result<> Workspaces::check_free(const std::string& owner, const std::string& name) const {
  if (owned(owner, name) || forking_.contains({owner, name}))
    return Error::make("workspace.conflict", "workspace '{}' exists already", name);
  return {};
}

Result<Workspace*> Workspaces::find(const Caller& caller, std::string_view id_or_name,
                                    std::string_view verb) {
  if (Workspace* own = owned(caller.sponsor, id_or_name)) return own;
  if (Workspace* named = by_id(id_or_name)) return reach(caller, *named, id_or_name, verb);
  std::vector<Workspace*> others;
  each([&](Workspace& workspace) {
    if (workspace.record().name == id_or_name) others.push_back(&workspace);
  });
  if (others.empty())
    return Error::make("workspace.not_found", "there is no workspace '{}'", printable(id_or_name, 80));
  Workspace* first = SAW_TRY(reach(caller, *others.front(), id_or_name, verb));
  if (others.size() > 1)
    return Error::make("workspace.conflict", "{} workspaces are called '{}'; say which one by its id",
                       others.size(), printable(id_or_name, 80));
  return first;
}

Result<Workspace*> Workspaces::find_by_id(const Caller& caller, std::string_view id, std::string_view verb) {
  Workspace* workspace = by_id(id);
  if (!workspace) return Error::make("workspace.not_found", "there is no workspace '{}'", printable(id, 80));
  return reach(caller, *workspace, id, verb);
}

Result<Workspace*> Workspaces::reach(const Caller& caller, Workspace& workspace, std::string_view asked,
                                     std::string_view verb) {
  if (caller.role == Role::operator_ || workspace.record().owner == caller.sponsor) return &workspace;
  auto e = event<audit::ApiActivity>(
      around_.plane, {.sponsor = caller.sponsor, .workspace = workspace.record().id}, audit::Verdict::denied,
      fmt::format("{} was denied {} on workspace '{}' of {}", caller.sponsor, verb, workspace.record().name,
                  workspace.record().owner));
  e.reason = "access.denied";
  e.operation = fmt::format("workspace.{}", verb);
  e.object_kind = "workspace";
  e.object_id = workspace.record().id;
  e.object_name = workspace.record().name;
  around_.plane.audit.record(audit::api_activity(e));
  return Error::make("access.denied", "workspace '{}' belongs to somebody else", printable(asked, 80));
}

std::vector<WorkspaceView> Workspaces::list(const Caller& caller) const {
  std::vector<WorkspaceView> out;
  for (const auto& [id, workspace] : all_)
    if (!workspace->is_gone() &&
        (caller.role == Role::operator_ || workspace->record().owner == caller.sponsor))
      out.push_back(workspace->view());
  return out;
}

void Workspaces::each(const std::function<void(Workspace&)>& function) const {
  for (const auto& [id, workspace] : all_)
    if (!workspace->is_gone()) function(*workspace);
}

// Identity, key and placeholders: everything that is drawn once.
Result<store::Workspace> Workspaces::complete(store::Workspace record, const policy::Policy& policy) const {
  record.id = random_id("ws-");
  record.sandbox = random_id("sb-");
  record.created = around_.plane.clock.now();
  for (const policy::Credential& credential : policy.credentials()) {
    if (!SAW_TRY(around_.secrets.exists(record.owner, credential.secret)))
      return Error::make(
          "secret.missing",
          "the policy's credential '{}' needs the secret '{}': store it first with 'saw secret put {}'",
          credential.name, credential.secret, credential.secret);
    record.placeholders.try_emplace(credential.secret, random_id("saw-placeholder-"));
  }
  CertificateAuthority ca = SAW_TRY(make_certificate_authority(record.name, record.created));
  record.ca_certificate = std::move(ca.certificate_pem);
  record.ca_key_sealed = around_.plane.keys.sealer.seal(ca.key_pem, "ca/" + record.id);
  return record;
}

Result<> Workspaces::check_room(const Caller& caller, std::string_view owner) const {
  if (all_.size() + forking_.size() >= kMaxWorkspaces)
    return Error::make("workspace.conflict", "there are {} workspaces already", kMaxWorkspaces);
  const auto own = static_cast<size_t>(
      std::ranges::count_if(all_, [&](const auto& entry) { return entry.second->record().owner == owner; }) +
      std::ranges::count_if(forking_, [&](const auto& fork) { return fork.first == owner; }));
  if (caller.role != Role::operator_ && own >= kMaxPerOwner)
    return Error::make("workspace.conflict", "you have {} workspaces already", own);
  return {};
}

void Workspaces::create(const Caller& caller, const WorkspaceSpec& spec, Reply<WorkspaceCreated> reply) {
  if (!around_.plane.audit.available())
    return reply(
        Error::make("audit.unavailable", "the audit log cannot be written: no workspace is created"));
  auto release = spec.channel.empty() ? Result<const release::Verified*>(nullptr)
                                      : around_.releases.active(spec.channel);
  if (!release) return reply(std::unexpected(std::move(release).error()));
  auto accepted = accept(spec, caller, *release);
  if (!accepted) return reply(std::unexpected(std::move(accepted).error()));
  if (Workspace* existing = owned(caller.sponsor, spec.name)) {
    if (existing->record().spec_digest != accepted->workspace.spec_digest)
      return reply(Error::make(
          "workspace.conflict",
          "workspace '{}' exists with other content; a workspace's profile never changes", spec.name));
    if (existing->state() != WorkspaceState::starting && existing->state() != WorkspaceState::failed)
      return reply(WorkspaceCreated{Created::before, existing->view()});
    return change(*existing, Desired::running, caller,
                  [reply = std::move(reply)](Result<WorkspaceView> started) mutable {
                    if (!started) return reply(std::unexpected(std::move(started).error()));
                    reply(WorkspaceCreated{Created::before, std::move(*started)});
                  });
  }
  if (auto free = check_free(caller.sponsor, spec.name); !free)
    return reply(std::unexpected(std::move(free).error()));
  if (auto room = check_room(caller, caller.sponsor); !room)
    return reply(std::unexpected(std::move(room).error()));
  auto record = complete(std::move(accepted->workspace), accepted->policy);
  if (!record) return reply(std::unexpected(std::move(record).error()));
  auto workspace = Workspace::open(around_, *record);
  if (!workspace) return reply(std::unexpected(std::move(workspace).error()));
  if (auto stored = around_.plane.store.put(*record); !stored)
    return reply(std::unexpected(std::move(stored).error()));
  Workspace& created = *(all_[record->id] = std::move(*workspace));
  created.lifecycle_event(audit::Lifecycle::Activity::install, audit::Verdict::allowed,
                          fmt::format("workspace '{}' created with policy '{}', profile {}", record->name,
                                      record->policy_name, record->profile));
  created.converge([this, id = record->id, reply = std::move(reply)](Result<> settled) mutable {
    Workspace& workspace = *all_.at(id);
    if (settled) return reply(WorkspaceCreated{Created::now, workspace.view()});
    // It never came up: nothing of it is kept, and the reason is told.
    if (auto stored = workspace.want(Desired::gone); !stored)
      return reply(std::unexpected(std::move(settled).error()));
    workspace.converge(
        [this, id, reply = std::move(reply), error = settled.error()](const Result<>&) mutable {
          drop_if_gone(id);
          reply(std::unexpected(std::move(error)));
        });
  });
}

void Workspaces::change(Workspace& workspace, Desired desired, const Caller& caller,
                        Reply<WorkspaceView> reply) {
  const bool settled = (desired == Desired::running && workspace.state() == WorkspaceState::running) ||
                       (desired == Desired::stopped && workspace.state() == WorkspaceState::stopped);
  if (settled && workspace.record().desired == desired) return reply(workspace.view());
  if (desired == Desired::running && !around_.plane.audit.available())
    return reply(
        Error::make("audit.unavailable", "the audit log cannot be written: no workspace is started"));
  if (auto stored = workspace.want(desired); !stored)
    return reply(std::unexpected(std::move(stored).error()));
  static constexpr std::string_view kVerbs[] = {"stop", "start", "decommission"};
  workspace.lifecycle_event(audit::Lifecycle::Activity::other, audit::Verdict::allowed,
                            fmt::format("{}: {} workspace '{}'", caller.sponsor,
                                        kVerbs[static_cast<size_t>(desired)], workspace.record().name),
                            caller.sponsor);
  workspace.converge([this, id = workspace.record().id, reply = std::move(reply)](Result<> done) mutable {
    WorkspaceView view = all_.at(id)->view();
    drop_if_gone(id);
    if (!done) return reply(std::unexpected(std::move(done).error()));
    reply(std::move(view));
  });
}

// ---- forks

Result<store::Workspace> Workspaces::forked_record(const Workspace& source, const std::string& name) const {
  SAW_TRY(check_name("workspace", name));
  SAW_TRY(check_free(source.record().owner, name));
  store::Workspace record = source.record();
  record.name = name;
  // Never that of anything a person could ask for: creating one of this name is a conflict.
  record.spec_digest = digest_text(sha256("fork of " + record.spec_digest));
  record.placeholders.clear();
  return complete(std::move(record), source.policy());
}

// What was taken back for good does not go on under another id.
Result<> Workspaces::check_not_revoked(std::string_view workspace) const {
  if (!around_.revocations.contains(identity::Revocable::workspace, workspace)) return {};
  return Error::make("identity.workspace_revoked", "workspace '{}' is revoked: it cannot be forked",
                     workspace);
}

void Workspaces::fork(Workspace& source, const std::string& name, Workspace::WhatRuns what,
                      const Caller& caller, Reply<WorkspaceView> reply) {
  if (!around_.plane.audit.available())
    return reply(Error::make("audit.unavailable", "the audit log cannot be written: nothing is forked"));
  if (auto good = check_not_revoked(source.record().id); !good)
    return reply(std::unexpected(std::move(good).error()));
  if (auto room = check_room(caller, source.record().owner); !room)
    return reply(std::unexpected(std::move(room).error()));
  auto record = forked_record(source, name);
  if (!record) return reply(std::unexpected(std::move(record).error()));
  // Until its files are there it is stored as one to be removed: a crash leaves nothing of it.
  record->desired = Desired::gone;
  if (auto stored = around_.plane.store.put(*record); !stored)
    return reply(std::unexpected(std::move(stored).error()));
  forking_.emplace(record->owner, record->name);
  source.record_asked(caller.sponsor, fmt::format("fork workspace '{}' to '{}'", source.record().name, name));
  source.fork_storage(record->id, what,
                      alive_.guard([this, id = source.record().id, record = *record, caller,
                                    reply = std::move(reply)](Result<> forked) mutable {
                        if (forked) forked = check_not_revoked(id);
                        open_fork(std::move(record), std::move(forked), caller, std::move(reply));
                      }));
}

void Workspaces::open_fork(store::Workspace record, Result<> forked, const Caller& caller,
                           Reply<WorkspaceView> reply) {
  forking_.erase({record.owner, record.name});
  if (forked) {
    record.desired = Desired::running;
    forked = around_.plane.store.put(record);
    if (!forked) record.desired = Desired::gone;
  }
  auto opened = Workspace::open(around_, record);
  if (!opened) return reply(std::unexpected(forked ? std::move(opened).error() : std::move(forked).error()));
  Workspace& fork = *(all_[record.id] = std::move(*opened));
  if (forked)
    fork.lifecycle_event(audit::Lifecycle::Activity::install, audit::Verdict::allowed,
                         fmt::format("workspace '{}' forked, with policy '{}', profile {}", record.name,
                                     record.policy_name, record.profile),
                         caller.sponsor);
  // Its channel may have gone on while the files were forked.
  const release::Verified* release = record.channel.empty() ? nullptr : around_.releases.held(record.channel);
  if (forked && release && digest_text(release->policy.digest()) != record.policy_digest)
    fork.project(*release, [](const Result<>&) {});  // says itself what it could not do, and is shut off then
  fork.converge(
      [this, id = record.id, forked = std::move(forked), reply = std::move(reply)](Result<> settled) mutable {
        WorkspaceView view = all_.at(id)->view();
        drop_if_gone(id);
        if (!forked) return reply(std::unexpected(std::move(forked).error()));
        if (!settled) return reply(std::unexpected(std::move(settled).error()));
        reply(std::move(view));
      });
}

// Later: this is called from inside the workspace's own functions.
void Workspaces::drop_if_gone(const std::string& id) {
  around_.plane.loop.post(alive_.guard([this, id] {
    if (auto found = all_.find(id); found != all_.end() && found->second->is_gone()) all_.erase(found);
  }));
}

// The channel says what its workspaces' policy is, not what one of them remembers: a crash may have come between the two.
void Workspaces::take_channels_policy(store::Workspace& record) const {
  const release::Verified* release = record.channel.empty() ? nullptr : around_.releases.held(record.channel);
  if (!release || policy::name(release->policy.profile()) != record.profile) return;
  record.policy_yaml = release->policy_text;
  record.policy_file = fmt::format("{} of channel {}", release->manifest.version, record.channel);
  record.policy_name = release->policy.name();
  record.policy_digest = digest_text(release->policy.digest());
}

// Every running workspace of the channel at once; answers when the last one has.
void Workspaces::project(const std::string& channel, Reply<> reply) {
  const release::Verified* release = around_.releases.held(channel);
  struct Round {
    size_t left = 1;
    Result<> result;
    Reply<> reply;
  };
  auto round = std::make_shared<Round>(Round{.reply = std::move(reply)});
  auto one_done = [round](Result<> done) {
    if (!done) round->result = std::move(done);
    if (--round->left == 0) round->reply(std::move(round->result));
  };
  if (release)
    each([&](Workspace& workspace) {
      if (workspace.record().channel != channel) return;
      ++round->left;
      workspace.project(*release, one_done);
    });
  one_done({});
}

Result<> Workspaces::restore() {
  for (store::Workspace& record : SAW_TRY(around_.plane.store.workspaces(), "reading the workspaces")) {
    const std::string id = record.id, name = record.name;
    take_channels_policy(record);
    auto workspace = Workspace::open(around_, std::move(record));
    if (workspace)
      all_[id] = std::move(*workspace);
    else
      log_error("workspace '{}' ({}) cannot be restored: {}", name, id, workspace.error().message);
  }
  for (store::Session& session : SAW_TRY(around_.plane.store.sessions(), "reading the sessions"))
    if (Workspace* workspace = by_id(session.workspace)) workspace->restore_session(std::move(session));
  return {};
}

void Workspaces::recover(const std::set<std::string>& living, Reply<> reply) {
  struct Countdown {
    size_t left;
    Reply<> reply;
  };
  auto countdown = std::make_shared<Countdown>(Countdown{all_.size(), std::move(reply)});
  if (all_.empty()) return countdown->reply({});
  for (auto& [id, workspace] : all_) {
    workspace->mark_found(living);
    workspace->finish_ended_sessions();
    workspace->converge([this, id, countdown](const Result<>&) {
      drop_if_gone(id);
      if (--countdown->left == 0) countdown->reply({});
    });
  }
}

}  // namespace saw::control
