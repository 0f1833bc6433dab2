// Forks, snapshots and rebuilding, as the API asks for them.
#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "control/control.h"
#include "sandbox/storage.h"

namespace saw::control {
void Control::fork_workspace(const Caller& caller, std::string_view workspace, const std::string& name,
                             WhatRuns what, Reply<WorkspaceView> reply) {
  auto found = find(caller, workspace, "fork");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  workspaces_.fork(**found, name, what, caller, std::move(reply));
}

void Control::fork_session(const Caller& caller, std::string_view workspace, std::string_view session,
                           const std::string& name, WhatRuns what, Reply<SessionView> reply) {
  auto found = find(caller, workspace, "fork-session");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  Workspace::Session* known = (*found)->find_session(session);
  if (!known)
    return reply(Error::make("session.not_found", "there is no session '{}'", printable(session, 80)));
  if (!audit_->available())
    return reply(Error::make("audit.unavailable", "the audit log cannot be written: nothing is forked"));
  (*found)->record_asked(
      caller.sponsor,
      fmt::format("fork session '{}' of workspace '{}' to {}", known->record.name, (*found)->record().name,
                  name.empty() ? "a new one" : "'" + printable(name, 80) + "'"));
  (*found)->fork_session(known->record.id, name, what, std::move(reply));
}

namespace {

Result<> check_snapshot_name(const std::string& name) {
  if (sandbox::is_valid_id(name)) return {};
  return Error::make("request.name",
                     "a snapshot's name is 1 to 64 small letters, digits and dashes, not '{}'",
                     printable(name, 80));
}

}  // namespace

void Control::take_snapshot(const Caller& caller, std::string_view workspace, std::string name, WhatRuns what,
                            Reply<SnapshotView> reply) {
  auto found = find(caller, workspace, "snapshot");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  if (name.empty()) name = random_id("snap-");
  if (auto valid = check_snapshot_name(name); !valid) return reply(std::unexpected(std::move(valid).error()));
  if (!audit_->available())
    return reply(Error::make("audit.unavailable", "the audit log cannot be written: no snapshot is taken"));
  (*found)->record_asked(caller.sponsor,
                         fmt::format("snapshot '{}' of workspace '{}'", name, (*found)->record().name));
  const Nanos now = options_.clock.now();
  (*found)->take_snapshot(name, what, [name, now, reply = std::move(reply)](Result<> taken) mutable {
    if (!taken) return reply(std::unexpected(std::move(taken).error()));
    reply(SnapshotView{.name = name, .created = now});
  });
}

void Control::list_snapshots(const Caller& caller, std::string_view workspace,
                             Reply<std::vector<SnapshotView>> reply) {
  auto found = find(caller, workspace, "list-snapshots");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  auto convert = [reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
    if (!answer) return reply(std::unexpected(std::move(answer).error()));
    auto* list = std::get_if<sandbox::Snapshots>(&answer->message);
    if (!list)
      return reply(Error::make("node.malformed", "saw-node answered a ListSnapshots with something else"));
    std::vector<SnapshotView> views;
    views.reserve(list->snapshots.size());
    for (const sandbox::SnapshotInfo& each : list->snapshots)
      views.push_back({.name = each.name, .created = static_cast<Nanos>(each.created)});
    reply(std::move(views));
  };
  node_.request(sandbox::ListSnapshots{.workspace = (*found)->record().id}, alive_.guard(std::move(convert)));
}

void Control::remove_snapshot(const Caller& caller, std::string_view workspace, const std::string& name,
                              Reply<> reply) {
  auto found = find(caller, workspace, "remove-snapshot");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  if (auto valid = check_snapshot_name(name); !valid) return reply(std::move(valid));
  (*found)->record_asked(
      caller.sponsor, fmt::format("remove snapshot '{}' of workspace '{}'", name, (*found)->record().name));
  node_.request(sandbox::RemoveSnapshot{.workspace = (*found)->record().id, .snapshot = name},
                alive_.guard([reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
                  if (!answer) return reply(std::unexpected(std::move(answer).error()));
                  reply({});
                }));
}

void Control::rebuild_workspace(const Caller& caller, std::string_view workspace, const std::string& snapshot,
                                Reply<WorkspaceView> reply) {
  auto found = find(caller, workspace, "rebuild");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  if (!snapshot.empty())
    if (auto valid = check_snapshot_name(snapshot); !valid)
      return reply(std::unexpected(std::move(valid).error()));
  if (!audit_->available())
    return reply(Error::make("audit.unavailable", "the audit log cannot be written: nothing is rebuilt"));
  // Asked for first: afterwards the sessions are gone, whether there is such a snapshot or not.
  auto checked = [this, caller, id = (*found)->record().id, snapshot,
                  reply = std::move(reply)](Result<std::vector<SnapshotView>> known) mutable {
    Workspace* target = workspaces_.by_id(id);
    if (!known || !target)
      return reply(known ? Error::make("workspace.not_found", "the workspace is gone")
                         : std::unexpected(std::move(known).error()));
    const bool exists =
        std::ranges::any_of(*known, [&](const SnapshotView& s) { return s.name == snapshot; });
    if (!snapshot.empty() && !exists)
      return reply(Error::make("snapshot.not_found", "workspace '{}' has no snapshot '{}'",
                               target->record().name, snapshot));
    target->record_asked(
        caller.sponsor,
        fmt::format("rebuild workspace '{}' {}", target->record().name,
                    snapshot.empty() ? "from nothing" : fmt::format("from snapshot '{}'", snapshot)));
    auto emptied = alive_.guard([this, id] {
      quarantine_.abandon_all(id);
      terminals_.forget_ended(id, "");  // what they showed, too
    });
    auto done = alive_.guard([this, id, reply = std::move(reply)](Result<> rebuilt) mutable {
      if (!rebuilt) return reply(std::unexpected(std::move(rebuilt).error()));
      Workspace* again = workspaces_.by_id(id);
      if (!again) return reply(Error::make("workspace.not_found", "the workspace is gone"));
      reply(again->view());
    });
    target->rebuild(snapshot, std::move(emptied), std::move(done));
  };
  list_snapshots(caller, (*found)->record().id, alive_.guard(std::move(checked)));
}

}  // namespace saw::control
