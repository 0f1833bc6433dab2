// Where workspaces and sessions lie on this host. sawd names them by id; only this class turns an id into a
// path.
//
//   Storage storage = SAW_TRY(Storage::open("/var/lib/saw/node", {.first_agent_uid = kFirstAgentUid}));
//   SAW_TRY(storage.create_workspace("ws-1"));
//   Layers layers = SAW_TRY(storage.layers(plan));
//
//   <node>/ws      which layers make up which tree (storage_records.h)
//           /<workspace>/commits/<commit>   a commit under way (commit.h); finished by open()
//   <node>/layers  the layers (storage_layers.h)
//   <node>/trash   what is being removed
//
// A workspace is one layer, written by its own sandbox, over the layers that were frozen when it was forked or
// a snapshot was taken: a plain directory as long as there are none, an overlay from then on. A fork shares the
// frozen layers and costs the same whatever is in them. A session remembers the layers it began on, so it
// neither notices nor prevents that its workspace is forked, restored or rebuilt below it.
//
// Everything is atomic: whenever the process is killed, an operation has happened or it has not.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "os/idmap.h"
#include "sandbox/changes.h"
#include "sandbox/commit.h"
#include "sandbox/launch.h"
#include "sandbox/storage_layers.h"
#include "sandbox/storage_records.h"
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

// What the kernel has to search at each lookup grows with every layer (floor.md: 1,000 stats take 7 ms at one
// layer, 16 at eight). A workspace may stand on this many frozen ones, a session on so many of its own and its
// workspace's together.
constexpr size_t kMaxFrozen = 5, kMaxSessionLayers = 7;
constexpr size_t kMaxSnapshots = 64;  // of one workspace

struct QuarantineGroup;

class Storage {
 public:
  static Result<Storage> open(const std::string& directory, StorageOptions options);

  Result<> create_workspace(const std::string& workspace);  // exists already: fine
  Result<> create_session(const std::string& workspace, const std::string& session);
  // Gone from its place when this returns; the bytes go with trash().empty_some(). Absent: fine.
  Result<> remove_workspace(const std::string& workspace);
  Result<> remove_session(const std::string& workspace, const std::string& session);
  Trash& trash() { return trash_; }

  // What is forked, snapshot or rebuilt gets another upper layer: no sandbox may have the old one mounted for
  // writing. O(1) in the number of files. "storage.depth": it stands on too many layers already.
  // The new one exists already: fine, it stays as it is.
  Result<> fork_workspace(const std::string& workspace, const std::string& fork);
  Result<> fork_session(const std::string& workspace, const std::string& session, const std::string& fork);
  // `created` in nanoseconds. "storage.conflict" when there is one of that name.
  Result<> take_snapshot(const std::string& workspace, const std::string& snapshot, uint64_t created);
  Result<> remove_snapshot(const std::string& workspace, const std::string& snapshot);  // absent: fine
  Result<std::vector<SnapshotInfo>> snapshots(const std::string& workspace) const;      // sorted by name
  // Ends in a tree that nothing inside has ever written to (`snapshot` empty), or in the snapshot's. Its
  // sessions go.
  Result<> rebuild_workspace(const std::string& workspace, const std::string& snapshot);

  // 0 ≤ index < kMaxWorkspaces. "storage.unknown" when there is no such workspace.
  Result<uint32_t> index(const std::string& workspace) const;
  Result<Layers> layers(const SandboxPlan& plan) const;
  // Before a workspace's own sandbox starts: its upper layer gets the plan's write paths, so that whatever
  // stands on the workspace sees what is written there from then on. "commit.pending": a commit that goes into
  // that layer is decided and could not be carried out.
  Result<> make_ways(const SandboxPlan& plan);
  // It stands on frozen layers. What is committed into it then goes into a layer that its own sandbox must not
  // have mounted.
  bool is_stacked(const std::string& workspace) const;

  // ---- what a session changed against the workspace as it is now (storage_commit.cc). None of them while a
  // sandbox uses the session, but for changes(), whose root then means nothing; and no commit() into a stacked
  // workspace while its own sandbox runs.
  Result<ChangeSources> session_sources(const std::string& workspace, const std::string& session) const;
  Result<ChangeList> changes(const std::string& workspace, const std::string& session) const;
  Result<CommitOutcome> commit(const std::string& workspace, const std::string& session,
                               const CommitRequest& request);
  Result<> discard(const std::string& workspace, const std::string& session);
  // After a process that was forked to do one of these: takes over what it wrote, finishes what it had decided
  // and not done, and removes what it made and did not name.
  Result<> settle(const std::string& workspace);
  // What such a process needs of the caller's descriptors.
  std::vector<int> descriptors() const;

  // ---- the quarantine lane (storage_quarantine.cc; quarantine.h). An item is a session by another name:
  // changes() shows it, commit() releases it, remove_session() ends it; layers() and forks refuse it. Its
  // description lies in its upper layer's directory.
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
  Storage(StorageOptions options, LayerStore layers, Records records, Trash trash);
  Result<uint32_t> free_index() const;
  Result<WorkspaceRecord> freeze(const std::string& workspace);
  Result<> drop_unused(const LayerList& candidates);
  Result<> check_shareable(const LayerList& layers, uint32_t index);
  // The layers seen as one directory, read-only. The first is the top.
  Result<Fd> view(const LayerList& layers) const;
  Result<std::string> make_session_layer(uint32_t index) const;
  Result<> drop_unused_of(const WorkspaceRecord& before);
  std::optional<FileOwner> owner_of(uint32_t index) const;
  std::string commits_path(const std::string& workspace) const;
  struct WorkDirectory {
    Fd commits;  // which holds it
    std::string name;
  };
  Result<WorkDirectory> begin_work(const std::string& workspace, const std::string& session);
  Result<Fd> commits_of(const std::string& workspace) const;
  Result<CommitPlaces> commit_places(const std::string& workspace, const std::string& session,
                                     const std::string& work);
  Result<NextLayer> next_layer(const std::string& workspace, const std::string& session, const Fd& work,
                               uint32_t index);
  Result<> finish_commits(const std::string& workspace);
  // Nothing is decided and not done, of one session or (empty) of any.
  Result<> require_settled(const std::string& workspace, const std::string& session) const;
  Result<> add_pending_layers(const std::string& workspace, std::set<std::string>& used) const;
  Result<> sweep();
  struct StagedItem {
    std::string id, layer;
  };
  // Of one commit: what it held back, on its way to being items.
  struct ItemRound {
    const ChangeSources& sources;
    const std::vector<ChangeRecord>& changes;
    const std::vector<QuarantineItem>& present;
    std::vector<StagedItem> staged = {};
    std::vector<std::string> replaced = {};
    std::vector<QuarantineItem> items = {};
  };
  Result<> stage_items(const std::string& workspace, const std::string& session,
                       const std::vector<QuarantineGroup>& groups, ItemRound& round) const;
  std::string item_path(const SessionRecord& record) const;
  Result<> fill_item(const std::string& layer, const ChangeSources& sources,
                     const std::vector<ChangeRecord>& changes, const std::vector<size_t>& members,
                     const QuarantineItem& item, uint32_t index) const;
  Result<> publish_items(const std::string& workspace, const std::vector<StagedItem>& staged);
  Result<> drop_unfinished_items(const std::string& workspace);
  uint32_t uid_of(uint32_t index) const {
    return options_.first_agent_uid ? *options_.first_agent_uid + index : 0;
  }

  StorageOptions options_;
  LayerStore layers_;
  Records records_;
  Trash trash_;
  os::IdMaps maps_;
};

}  // namespace saw::sandbox
