#include "sandbox/storage.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "os/mount.h"
#include "sandbox/quarantine.h"
#include "sandbox/session_reference.h"

namespace saw::sandbox {
namespace {

Result<> require_valid(std::string_view kind, const std::string& id) {
  if (is_valid_id(id)) return {};
  return Error::make("storage.bad_id", "the {} id is not of the form [a-z0-9-]{{1,64}}", kind);
}

}  // namespace

bool is_valid_id(std::string_view id) {
  constexpr size_t kMaxId = 64;
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !id.empty() && id.size() <= kMaxId && std::ranges::all_of(id, allowed);
}

Storage::Storage(StorageOptions options, LayerStore layers, Records records, Trash trash)
    : options_(options), layers_(std::move(layers)), records_(std::move(records)), trash_(std::move(trash)) {}

Result<Storage> Storage::open(const std::string& directory, StorageOptions options) {
  SAW_TRY(make_directories(directory, 0700), "opening the storage");
  Trash trash = SAW_TRY(Trash::open(directory + "/trash"));
  LayerStore layers = SAW_TRY(LayerStore::open(directory + "/layers", options.first_agent_uid));
  Records records = SAW_TRY(Records::open(directory + "/ws", trash));
  Storage storage(options, std::move(layers), std::move(records), std::move(trash));
  for (const std::string& workspace : storage.records_.workspaces())
    SAW_TRY(storage.finish_commits(workspace));
  SAW_TRY(storage.sweep());
  return storage;
}

Result<> Storage::sweep() {
  auto used = records_.layers();
  Result<> pending;
  for (const std::string& workspace : records_.workspaces())
    if (used && pending) pending = add_pending_layers(workspace, *used);
  if (used && pending) return layers_.sweep(*used, trash_);
  // One of them may be named by what cannot be read.
  log_error("unused layers are kept: {}", used ? pending.error().message : used.error().message);
  return {};
}

// ---- creating and removing

Result<uint32_t> Storage::free_index() const {
  const std::set<uint32_t> used = SAW_TRY(records_.indices());
  for (uint32_t index = 0; index < kMaxWorkspaces; ++index)
    if (!used.contains(index)) return index;
  return Error::make("storage.full", "this host already has {} workspaces", kMaxWorkspaces);
}

Result<> Storage::create_workspace(const std::string& workspace) {
  SAW_TRY(require_valid("workspace", workspace));
  if (records_.has(workspace)) return {};
  WorkspaceRecord record{.index = SAW_TRY(free_index())};
  record.upper = SAW_TRY(layers_.make(record.index));
  return records_.put(workspace, std::move(record));
}

Result<> Storage::create_session(const std::string& workspace, const std::string& session) {
  SAW_TRY(require_valid("workspace", workspace));
  SAW_TRY(require_valid("session", session));
  const WorkspaceRecord* below = SAW_TRY(records_.workspace(workspace));
  if (below->sessions.contains(session)) return {};
  SessionRecord record{.upper = SAW_TRY(make_session_layer(below->index)), .base = below->layers()};
  return records_.put(workspace, session, std::move(record));
}

// With the moment from which what changes below it is a conflict.
Result<std::string> Storage::make_session_layer(uint32_t index) const {
  std::string layer = SAW_TRY(layers_.make(index));
  Fd directory = SAW_TRY(Fd::open(layers_.directory(layer), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  SAW_TRY(make_reference(directory.get()));
  return layer;
}

Result<> Storage::remove_workspace(const std::string& workspace) {
  SAW_TRY(require_valid("workspace", workspace));
  WorkspaceRecord before;
  if (auto record = records_.workspace(workspace)) before = **record;
  SAW_TRY(records_.remove(workspace, trash_));
  return before.upper.empty() ? Result<>() : drop_unused_of(before);
}

Result<> Storage::drop_unused_of(const WorkspaceRecord& before) {
  LayerList candidates = before.layers();
  for (const auto& [id, session] : before.sessions) {
    const LayerList more = session.layers();
    candidates.insert(candidates.end(), more.begin(), more.end());
  }
  for (const auto& [name, snapshot] : before.snapshots)
    candidates.insert(candidates.end(), snapshot.frozen.begin(), snapshot.frozen.end());
  return drop_unused(candidates);
}

Result<> Storage::remove_session(const std::string& workspace, const std::string& session) {
  SAW_TRY(require_valid("workspace", workspace));
  SAW_TRY(require_valid("session", session));
  LayerList candidates;
  if (auto record = records_.session(workspace, session)) candidates = (*record)->layers();
  SAW_TRY(records_.remove_session(workspace, session, trash_));
  return drop_unused(candidates);
}

// Those of the layers that no record names any more.
Result<> Storage::drop_unused(const LayerList& candidates) {
  if (candidates.empty()) return {};
  const std::set<std::string> used = SAW_TRY(records_.layers());
  for (const std::string& layer : candidates)
    if (!used.contains(layer)) SAW_TRY(layers_.remove(layer, trash_));
  return {};
}

// ---- forks, snapshots, rebuilding

// After this the workspace's frozen layers are all of its content. The record that is on disk then names a new,
// empty upper layer: before it does, nothing is shared; from then on, nobody writes to what is.
Result<WorkspaceRecord> Storage::freeze(const std::string& workspace) {
  WorkspaceRecord record = *SAW_TRY(records_.workspace(workspace));
  // What is decided goes into the upper layer still.
  SAW_TRY(require_settled(workspace, ""));
  if (SAW_TRY(layers_.is_empty(record.upper))) return record;
  if (record.frozen.size() >= kMaxFrozen)
    return Error::make(
        "storage.depth",
        "workspace '{}' was forked or snapshot {} times and stands on as many layers; rebuild it "
        "from a snapshot, or copy what matters to a new workspace",
        workspace, record.frozen.size());
  record.frozen = record.layers();
  record.upper = SAW_TRY(layers_.make(record.index));
  SAW_TRY(records_.put(workspace, record), "freezing the workspace's layer");
  return record;
}

// That the agent of workspace `index` can be shown other agents' layers as its own.
Result<> Storage::check_shareable(const LayerList& layers, uint32_t index) {
  for (const std::string& layer : layers) {
    const uint32_t owner = *LayerStore::index_of(layer);
    if (!options_.first_agent_uid || owner == index) continue;
    SAW_TRY(maps_.clone(layers_.files(layer), {.on_disk = uid_of(owner), .shown = uid_of(index)}),
            "this host cannot share files between workspaces");
  }
  return {};
}

Result<> Storage::fork_workspace(const std::string& workspace, const std::string& fork) {
  SAW_TRY(require_valid("workspace", workspace));
  SAW_TRY(require_valid("workspace", fork));
  if (records_.has(fork)) return {};
  const uint32_t index = SAW_TRY(free_index());
  const WorkspaceRecord source = SAW_TRY(freeze(workspace));
  SAW_TRY(check_shareable(source.frozen, index));
  WorkspaceRecord record{.index = index, .frozen = source.frozen};
  record.upper = SAW_TRY(layers_.make(index));
  return records_.put(fork, std::move(record));
}

Result<> Storage::fork_session(const std::string& workspace, const std::string& session,
                               const std::string& fork) {
  SAW_TRY(require_valid("session", session));
  SAW_TRY(require_valid("session", fork));
  if (is_quarantine_id(session) || is_quarantine_id(fork))
    return Error::make("storage.bad_id", "what is in quarantine is released or rejected, not forked");
  const WorkspaceRecord* below = SAW_TRY(records_.workspace(workspace));
  if (below->sessions.contains(fork)) return {};
  const uint32_t index = below->index;
  SAW_TRY(require_settled(workspace, session));
  SessionRecord record = *SAW_TRY(records_.session(workspace, session));
  if (!SAW_TRY(layers_.is_empty(record.upper))) {
    if (record.frozen.size() + record.base.size() >= kMaxSessionLayers)
      return Error::make("storage.depth", "session '{}' already stands on {} layers; commit or end it",
                         session, record.frozen.size() + record.base.size());
    record.frozen = record.own();
    record.upper = SAW_TRY(make_session_layer(index));
    SAW_TRY(records_.put(workspace, session, record), "freezing the session's layer");
  }
  record.upper = SAW_TRY(make_session_layer(index));
  return records_.put(workspace, fork, std::move(record));
}

Result<> Storage::take_snapshot(const std::string& workspace, const std::string& snapshot, uint64_t created) {
  SAW_TRY(require_valid("workspace", workspace));
  SAW_TRY(require_valid("snapshot", snapshot));
  const WorkspaceRecord* before = SAW_TRY(records_.workspace(workspace));
  if (before->snapshots.contains(snapshot))
    return Error::make("storage.conflict", "there is a snapshot '{}' already", snapshot);
  if (before->snapshots.size() >= kMaxSnapshots)
    return Error::make("storage.full", "the workspace already has {} snapshots", kMaxSnapshots);
  const WorkspaceRecord record = SAW_TRY(freeze(workspace));
  return records_.put(workspace, snapshot, SnapshotRecord{.created = created, .frozen = record.frozen});
}

Result<> Storage::remove_snapshot(const std::string& workspace, const std::string& snapshot) {
  SAW_TRY(require_valid("workspace", workspace));
  SAW_TRY(require_valid("snapshot", snapshot));
  const WorkspaceRecord* record = SAW_TRY(records_.workspace(workspace));
  auto found = record->snapshots.find(snapshot);
  if (found == record->snapshots.end()) return {};
  const LayerList candidates = found->second.frozen;
  SAW_TRY(records_.remove_snapshot(workspace, snapshot, trash_));
  return drop_unused(candidates);
}

Result<std::vector<SnapshotInfo>> Storage::snapshots(const std::string& workspace) const {
  SAW_TRY(require_valid("workspace", workspace));
  std::vector<SnapshotInfo> out;
  for (const auto& [name, snapshot] : SAW_TRY(records_.workspace(workspace))->snapshots)
    out.push_back({.name = name, .created = snapshot.created});
  return out;
}

Result<> Storage::rebuild_workspace(const std::string& workspace, const std::string& snapshot) {
  SAW_TRY(require_valid("workspace", workspace));
  WorkspaceRecord record = *SAW_TRY(records_.workspace(workspace));
  if (!snapshot.empty() && !record.snapshots.contains(snapshot))
    return Error::make("storage.unknown", "there is no snapshot '{}'", snapshot);
  for (const auto& [id, session] : record.sessions) SAW_TRY(remove_session(workspace, id));
  const LayerList before = record.layers();
  record.frozen = snapshot.empty() ? LayerList() : record.snapshots.at(snapshot).frozen;
  record.upper = SAW_TRY(layers_.make(record.index));
  SAW_TRY(records_.put(workspace, std::move(record)), "rebuilding the workspace");
  // What was decided was about the tree that is gone.
  SAW_TRY(records_.remove_commits(workspace, trash_));
  return drop_unused(before);
}

// ---- asking

Result<uint32_t> Storage::index(const std::string& workspace) const {
  SAW_TRY(require_valid("workspace", workspace));
  return SAW_TRY(records_.workspace(workspace))->index;
}

Result<Layers> Storage::layers(const SandboxPlan& plan) const {
  if (is_quarantine_id(plan.session))
    return Error::make("storage.bad_id", "nothing runs in quarantine item '{}'", plan.session);
  SAW_TRY(require_valid("workspace", plan.workspace));
  const WorkspaceRecord& workspace = *SAW_TRY(records_.workspace(plan.workspace));
  LayerList all = workspace.layers();
  if (!plan.session.empty()) {
    SAW_TRY(require_valid("session", plan.session));
    SAW_TRY(require_settled(plan.workspace, plan.session));
    const SessionRecord& session = *SAW_TRY(records_.session(plan.workspace, plan.session));
    all = session.layers();
  }
  Layers out;
  out.owner = plan.workspace;
  out.uid = out.gid = uid_of(workspace.index);
  for (const std::string& layer : all) {
    out.lower.push_back(layers_.files(layer));
    out.lower_uid.push_back(uid_of(*LayerStore::index_of(layer)));
  }
  if (plan.depth == Depth::call) return out;
  out.root = layers_.directory(all.front());
  out.upper = out.lower.front();
  out.lower.erase(out.lower.begin());
  out.lower_uid.erase(out.lower_uid.begin());
  if (!out.lower.empty()) out.work = layers_.work(all.front());
  return out;
}

bool Storage::is_stacked(const std::string& workspace) const {
  const auto record = records_.workspace(workspace);
  return record && !(*record)->frozen.empty();
}

Result<> Storage::make_ways(const SandboxPlan& plan) {
  SAW_TRY(require_valid("workspace", plan.workspace));
  const WorkspaceRecord& workspace = *SAW_TRY(records_.workspace(plan.workspace));
  std::vector<std::string> below;
  for (const std::string& layer : workspace.frozen) below.push_back(layers_.files(layer));
  if (below.empty()) return {};
  SAW_TRY(finish_commits(plan.workspace));
  SAW_TRY(require_settled(plan.workspace, ""));
  return layers_.make_ways(workspace.upper, below, plan.write_paths);
}

Result<Fd> Storage::view(const LayerList& layers) const {
  std::vector<Fd> fds;
  std::string lower;
  for (const std::string& layer : layers) {
    fds.push_back(SAW_TRY(Fd::open(layers_.files(layer), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)));
    // By number: the paths of all layers together are longer than the kernel takes.
    lower += fmt::format("{}/proc/self/fd/{}", lower.empty() ? "" : ":", fds.back().get());
  }
  if (fds.size() == 1) return std::move(fds.front());
  const os::MountOption options[] = {{"lowerdir", lower.c_str()},
                                     {"redirect_dir", "nofollow"},
                                     {"index", "off"},
                                     {"metacopy", "off"},
                                     {options_.first_agent_uid ? nullptr : "userxattr", nullptr},
                                     {}};
  Fd mount(os::new_filesystem("overlay", options, os::kReadOnly | os::kNoSuid | os::kNoDevice));
  if (!mount)
    return std::unexpected(
        Error::from_errno("storage.view", -mount.get(), "showing layers as one directory"));
  Fd root(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return Error::system("storage.view", "opening the layers as one directory");
  return root;
}

}  // namespace saw::sandbox
