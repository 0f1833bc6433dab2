// Where workspaces and sessions lie on this host. sawd names them by id; only this class turns an id into a
// path.
//
//   Storage storage = SAW_TRY(Storage::open("/var/lib/saw/node", {.first_agent_uid = kFirstAgentUid}));
//   SAW_TRY(storage.create_workspace("ws-1"));
//   Layers layers = SAW_TRY(storage.layers(plan));
//
//   <node>/ws/<workspace>/owner      the workspace's index, hence its uids; unique as long as it exists
//                        /fs         the persistent tree: /workspace, /home/agent, … below it
//                        /sessions/<session>/{upper,work,since}
//                        /commits/<commit>   a commit or discard under way (commit.h); finished by open()
//   <node>/trash                     what is being removed
//
// Creating and removing are atomic: a workspace is there with its owner, or not at all, whenever the process
// is killed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sandbox/changes.h"
#include "sandbox/commit.h"
#include "sandbox/launch.h"
#include "sandbox/storage_trash.h"

namespace saw::sandbox {

// Ids of users that need no entry in passwd. As root, every program and every workspace's agent has its own.
constexpr uint32_t kControlUid = 720'000, kPerimeterUid = 720'001;
constexpr uint32_t kFirstEgressUid = 721'000, kFirstAgentUid = 730'000;
constexpr uint32_t kMaxWorkspaces = 9'000;  // of one host: the room between the two

// [a-z0-9-]{1,64}: safe as a file name, a host name and an argument.
bool is_valid_id(std::string_view id);

struct StorageOptions {
  std::optional<uint32_t> first_agent_uid;  // absent: everything belongs to the caller (rootless)
};

class Storage {
 public:
  static Result<Storage> open(std::string directory, StorageOptions options);

  Result<> create_workspace(const std::string& workspace);  // exists already: fine
  Result<> create_session(const std::string& workspace, const std::string& session);
  // Gone from its place when this returns; the bytes go with trash().empty_some(). Absent: fine.
  Result<> remove_workspace(const std::string& workspace);
  Result<> remove_session(const std::string& workspace, const std::string& session);
  Trash& trash() { return trash_; }

  // 0 ≤ index < kMaxWorkspaces. "storage.unknown" when there is no such workspace.
  Result<uint32_t> index(const std::string& workspace) const;
  // What Layers::root is of everything of this workspace. A valid id.
  std::string root(const std::string& workspace) const { return workspace_path(workspace); }
  Result<Layers> layers(const SandboxPlan& plan) const;

  // ---- what a session changed (storage_commit.cc). None of them while a sandbox uses the session, but for
  // changes(), whose root then means nothing.
  Result<ChangeSources> session_sources(const std::string& workspace, const std::string& session) const;
  Result<ChangeList> changes(const std::string& workspace, const std::string& session) const;
  Result<CommitOutcome> commit(const std::string& workspace, const std::string& session,
                               const CommitRequest& request);
  Result<> discard(const std::string& workspace, const std::string& session);
  // Finishes what a process that was killed had decided and not done.
  Result<> finish_commits(const std::string& workspace);
  // What a process forked to do one of these needs of the caller's descriptors.
  std::vector<int> descriptors() const { return {workspaces_.get(), trash_.descriptor()}; }

  // ---- the quarantine lane (storage_quarantine.cc; quarantine.h). An item is a session by another name:
  // changes() shows it, commit() releases it, remove_session() ends it; layers() refuses it.
  Result<std::vector<QuarantineItem>> quarantine(const std::string& workspace) const;
  // After a commit: what the session still has on run-later paths becomes items, or is one already. Returns
  // the items of this session that it has now. "quarantine.full" past kMaxQuarantined: then
  // there is nothing new.
  Result<std::vector<QuarantineItem>> update_quarantine(const std::string& workspace,
                                                        const std::string& session);
  // All of an item or, on an error, nothing ("quarantine.partly": the workspace's own processes came in
  // between; the item keeps the rest). The item is gone afterwards.
  Result<> release_quarantine(const std::string& workspace, const std::string& item, const std::string& root);

 private:
  Storage(std::string directory, StorageOptions options, Fd workspaces, Trash trash);
  Result<> make_owned(const std::string& path, uint32_t index) const;
  Result<uint32_t> free_index() const;
  Result<> drop_unfinished();
  std::optional<FileOwner> owner_of(uint32_t index) const;
  Result<NextLayer> next_layer(const std::string& workspace, const std::string& session, const Fd& work,
                               std::optional<FileOwner> owner) const;
  Result<CommitPlaces> commit_places(const std::string& workspace, const std::string& session,
                                     const std::string& work) const;
  struct WorkDirectory {
    Fd commits;  // which holds it
    std::string name;
  };
  Result<WorkDirectory> begin_work(const std::string& workspace, const std::string& session,
                                   std::string_view what);
  Result<Fd> commits_of(const std::string& workspace) const;
  Result<> require_settled(const std::string& workspace, const std::string& session) const;
  Result<std::string> stage_item(const std::string& workspace, const ChangeSources& sources,
                                 const std::vector<ChangeRecord>& changes, const std::vector<size_t>& members,
                                 const QuarantineItem& item);
  Result<> publish_items(const std::string& workspace,
                         const std::vector<std::pair<std::string, std::string>>& staged);
  Result<> drop_unfinished_items(const std::string& workspace);
  std::string workspace_path(const std::string& workspace) const;
  std::string session_path(const std::string& workspace, const std::string& session) const;

  std::string directory_;
  StorageOptions options_;
  Fd workspaces_;
  Trash trash_;
};

}  // namespace saw::sandbox
