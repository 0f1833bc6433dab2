// All workspaces: creation, finding one for a caller, and recovery.
//
//   workspaces.create(caller, spec, [](Result<WorkspaceCreated> r) { … });
//   Workspace* w = SAW_TRY(workspaces.find(caller, "dev", "exec"));      // owner and operators only: else
//   "access.denied", audited (R1)
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/workspace.h"
#include "control/workspace_spec.h"

namespace saw::control {

class Workspaces {
 public:
  static constexpr size_t kMaxWorkspaces = 256;
  // Of one user who is no operator: nobody takes all the room there is.
  static constexpr size_t kMaxPerOwner = 64;

  explicit Workspaces(Surroundings around) : around_(around) {}

  void create(const Caller& caller, const WorkspaceSpec& spec, Reply<WorkspaceCreated> reply);
  // `verb` is what the caller wants of it, for the audit event of a refusal. By id, or by name: the caller's
  // own first.
  Result<Workspace*> find(const Caller& caller, std::string_view id_or_name, std::string_view verb);
  // By id alone: for what refers to a workspace. A stranger may *name* a workspace of his own like this id.
  Result<Workspace*> find_by_id(const Caller& caller, std::string_view id, std::string_view verb);
  std::vector<WorkspaceView> list(const Caller& caller) const;
  void change(Workspace& workspace, store::Desired desired, const Caller& caller, Reply<WorkspaceView> reply);

  void project(const std::string& channel, Reply<> reply);
  // A second workspace of the same owner from the state of the first.
  void fork(Workspace& source, const std::string& name, Workspace::WhatRuns what, const Caller& caller,
            Reply<WorkspaceView> reply);

  Workspace* by_id(std::string_view id) const;
  size_t size() const { return all_.size(); }
  void each(const std::function<void(Workspace&)>& function) const;

  // From the store. A workspace that cannot be restored (its policy does not compile any more) is an error
  // for that one only, logged.
  Result<> restore();
  // `living`: sandboxes that saw-node holds. Answers when every workspace has settled, one way or the other.
  void recover(const std::set<std::string>& living, Reply<> reply);

 private:
  Result<store::Workspace> complete(store::Workspace record, const policy::Policy& policy) const;
  Result<> check_room(const Caller& caller, std::string_view owner) const;
  Result<store::Workspace> forked_record(const Workspace& source, const std::string& name) const;
  Result<> check_not_revoked(std::string_view workspace) const;
  void open_fork(store::Workspace record, Result<> forked, const Caller& caller, Reply<WorkspaceView> reply);
  Result<Workspace*> reach(const Caller& caller, Workspace& workspace, std::string_view asked,
                           std::string_view verb);
  Workspace* owned(std::string_view owner, std::string_view name) const;
  Result<> check_free(const std::string& owner, const std::string& name) const;
  void drop_if_gone(const std::string& id);
  void take_channels_policy(store::Workspace& record) const;

  Surroundings around_;
  std::map<std::string, std::unique_ptr<Workspace>, std::less<>> all_;  // by id
  std::set<std::pair<std::string, std::string>> forking_;  // owner and name of forks that have no files yet
  Alive alive_;
};

}  // namespace saw::control
