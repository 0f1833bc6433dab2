#include "sandbox/storage_records.h"

#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wire.h"
#include "sandbox/storage.h"

namespace saw::sandbox {
namespace {

constexpr std::string_view kUnfinished = ".new-";
constexpr size_t kMaxRecord = 16u << 10;

template <class Record> Result<Record> read_record(const std::string& directory) {
  const std::string bytes = SAW_TRY(read_file(directory + "/record", kMaxRecord));
  return wire::decode_struct<Record>(bytes);
}

// What a loss of power makes of a record that was not flushed. A session need not survive one, and must not
// keep its workspace, and everything that has to know all records, from going on.
bool was_never_written(const std::string& directory) {
  struct stat info{};
  if (::lstat((directory + "/record").c_str(), &info) != 0) return errno == ENOENT;
  return S_ISREG(info.st_mode) && info.st_size == 0;
}

Result<> check_layers(std::initializer_list<const LayerList*> lists) {
  for (const LayerList* list : lists)
    for (const std::string& layer : *list)
      if (!LayerStore::index_of(layer)) return Error::make("storage.record", "'{}' is not a layer", layer);
  return {};
}

LayerList on_top(const std::string& upper, const LayerList& frozen) {
  LayerList out = {upper};
  out.insert(out.end(), frozen.begin(), frozen.end());
  return out;
}

// The record files of one kind below a workspace.
template <class Record>
Result<std::map<std::string, Record>> read_all_records(const std::string& directory, Trash& trash) {
  std::map<std::string, Record> out;
  Fd parent = SAW_TRY(Fd::open(directory, O_RDONLY | O_DIRECTORY));
  for (const std::string& name : SAW_TRY(names_in(directory))) {
    if (!is_valid_id(name)) {
      SAW_TRY(trash.take(parent.get(), name));
      continue;
    }
    const std::string place = fmt::format("{}/{}", directory, name);
    if constexpr (std::is_same_v<Record, SessionRecord>)
      if (was_never_written(place)) {
        log_warning("session '{}' is lost: its record had not reached the disk", name);
        SAW_TRY(trash.take(parent.get(), name));
        continue;
      }
    Record record = SAW_TRY(read_record<Record>(place), name);
    if constexpr (requires { record.upper; }) {
      const LayerList upper = {record.upper};
      SAW_TRY(check_layers({&upper, &record.frozen, &record.base}));
    } else {
      SAW_TRY(check_layers({&record.frozen}));
    }
    out.emplace(name, std::move(record));
  }
  return out;
}

}  // namespace

LayerList SessionRecord::own() const {
  return on_top(upper, frozen);
}
LayerList SessionRecord::layers() const {
  LayerList out = own();
  out.insert(out.end(), base.begin(), base.end());
  return out;
}
LayerList WorkspaceRecord::layers() const {
  return on_top(upper, frozen);
}

Result<Records> Records::open(std::string directory, Trash& trash) {
  SAW_TRY(make_directories(directory, 0700));
  Fd fd = SAW_TRY(Fd::open(directory, O_RDONLY | O_DIRECTORY));
  Records records(std::move(directory), std::move(fd));
  for (const std::string& name : SAW_TRY(names_in(records.directory_))) {
    if (!is_valid_id(name)) {
      SAW_TRY(trash.take(records.fd_.get(), name));
      continue;
    }
    if (auto loaded = records.load(name, trash); !loaded) {
      log_error("the storage of workspace '{}': {}", name, loaded.error().message);
      records.unreadable_.insert(name);
    }
  }
  return records;
}

Result<> Records::load(const std::string& workspace, Trash& trash) {
  auto record = SAW_TRY(read_record<WorkspaceRecord>(path(workspace)));
  if (record.index >= kMaxWorkspaces) return Error::make("storage.record", "it has index {}", record.index);
  const LayerList upper = {record.upper};
  SAW_TRY(check_layers({&upper, &record.frozen}));
  record.sessions = SAW_TRY(read_all_records<SessionRecord>(path(workspace) + "/sessions", trash));
  record.snapshots = SAW_TRY(read_all_records<SnapshotRecord>(path(workspace) + "/snapshots", trash));
  workspaces_.insert_or_assign(workspace, std::move(record));
  return {};
}

Result<> Records::reload(const std::string& workspace, Trash& trash) {
  if (!has(workspace) || !exists(path(workspace))) return {};
  return load(workspace, trash);
}

// ---- asking

std::vector<std::string> Records::workspaces() const {
  std::vector<std::string> out;
  out.reserve(workspaces_.size());
  for (const auto& [name, record] : workspaces_) out.push_back(name);
  return out;
}

bool Records::has(const std::string& workspace) const {
  return workspaces_.contains(workspace) || unreadable_.contains(workspace);
}

Result<const WorkspaceRecord*> Records::workspace(const std::string& workspace) const {
  if (unreadable_.contains(workspace))
    return Error::make("storage.record", "the storage record of workspace '{}' cannot be read", workspace);
  auto found = workspaces_.find(workspace);
  if (found == workspaces_.end())
    return Error::make("storage.unknown", "there is no storage of workspace '{}'", workspace);
  return &found->second;
}

Result<const SessionRecord*> Records::session(const std::string& workspace,
                                              const std::string& session) const {
  const WorkspaceRecord* owner = SAW_TRY(this->workspace(workspace));
  auto found = owner->sessions.find(session);
  if (found == owner->sessions.end())
    return Error::make("storage.unknown", "there is no storage of session '{}'", session);
  return &found->second;
}

Result<> Records::complete() const {
  if (unreadable_.empty()) return {};
  return Error::make("storage.record", "the storage record of workspace '{}' cannot be read; remove it first",
                     *unreadable_.begin());
}

Result<std::set<uint32_t>> Records::indices() const {
  SAW_TRY(complete());
  std::set<uint32_t> out;
  for (const auto& [name, record] : workspaces_) out.insert(record.index);
  return out;
}

Result<std::set<std::string>> Records::layers() const {
  SAW_TRY(complete());
  std::set<std::string> out;
  const auto add = [&](const LayerList& layers) { out.insert(layers.begin(), layers.end()); };
  for (const auto& [name, record] : workspaces_) {
    add(record.layers());
    for (const auto& [id, session] : record.sessions) add(session.layers());
    for (const auto& [id, snapshot] : record.snapshots) add(snapshot.frozen);
  }
  return out;
}

// ---- changing

// A directory that appears with its record, or the record of one that is there, replaced.
template <class Record>
Result<> Records::write(const std::string& parent, const std::string& name, Record& record, Durability how) {
  const std::string bytes = wire::encode_struct(record);
  if (bytes.size() > kMaxRecord) return Error::make("storage.record", "a record of {} bytes", bytes.size());
  const std::string place = parent + "/" + name;
  if (exists(place)) return replace_file(place + "/record", bytes, 0600, how);
  const std::string temporary = parent + "/" + random_id(kUnfinished);
  constexpr bool kIsWorkspace = std::is_same_v<Record, WorkspaceRecord>;
  SAW_TRY(make_directories(temporary, 0700));
  if constexpr (kIsWorkspace)
    for (const char* below : {"/sessions", "/snapshots"}) SAW_TRY(make_directories(temporary + below, 0700));
  // A session need not survive a loss of power: without its processes it is little worth.
  constexpr Durability kHow = std::is_same_v<Record, SessionRecord> ? Durability::none : Durability::fsync;
  SAW_TRY(replace_file(temporary + "/record", bytes, 0600, kHow));
  if (::rename(temporary.c_str(), place.c_str()) != 0)
    return Error::system("storage.create", "putting the record of '{}' in place", name);
  if constexpr (kHow == Durability::fsync) {
    Fd above = SAW_TRY(Fd::open(parent, O_RDONLY | O_DIRECTORY));
    if (::fsync(above.get()) != 0) return Error::system("storage.create", "flushing '{}'", parent);
  }
  return {};
}

Result<> Records::put(const std::string& workspace, WorkspaceRecord record) {
  if (unreadable_.contains(workspace)) return std::unexpected(this->workspace(workspace).error());
  SAW_TRY(write(directory_, workspace, record));
  WorkspaceRecord& kept = workspaces_[workspace];
  kept.index = record.index;
  kept.upper = std::move(record.upper);
  kept.frozen = std::move(record.frozen);
  return {};
}

Result<> Records::put(const std::string& workspace, const std::string& session, SessionRecord record,
                      Durability how) {
  SAW_TRY(this->workspace(workspace));
  SAW_TRY(write(path(workspace) + "/sessions", session, record, how));
  workspaces_[workspace].sessions[session] = std::move(record);
  return {};
}

Result<> Records::put(const std::string& workspace, const std::string& snapshot, SnapshotRecord record) {
  SAW_TRY(this->workspace(workspace));
  SAW_TRY(write(path(workspace) + "/snapshots", snapshot, record));
  workspaces_[workspace].snapshots[snapshot] = std::move(record);
  return {};
}

Result<> Records::remove(const std::string& workspace, Trash& trash) {
  SAW_TRY(trash.take(fd_.get(), workspace));
  workspaces_.erase(workspace);
  unreadable_.erase(workspace);
  return {};
}

Result<> Records::remove_session(const std::string& workspace, const std::string& session, Trash& trash) {
  auto found = workspaces_.find(workspace);
  if (found == workspaces_.end()) return {};
  Fd sessions = SAW_TRY(Fd::open(path(workspace) + "/sessions", O_RDONLY | O_DIRECTORY));
  SAW_TRY(trash.take(sessions.get(), session));
  found->second.sessions.erase(session);
  return {};
}

Result<> Records::remove_commits(const std::string& workspace, Trash& trash) {
  if (!exists(path(workspace))) return {};
  Fd directory = SAW_TRY(Fd::open(path(workspace), O_RDONLY | O_DIRECTORY));
  return trash.take(directory.get(), "commits");
}

Result<> Records::remove_snapshot(const std::string& workspace, const std::string& snapshot, Trash& trash) {
  auto found = workspaces_.find(workspace);
  if (found == workspaces_.end()) return {};
  Fd snapshots = SAW_TRY(Fd::open(path(workspace) + "/snapshots", O_RDONLY | O_DIRECTORY));
  SAW_TRY(trash.take(snapshots.get(), snapshot));
  found->second.snapshots.erase(snapshot);
  return {};
}

}  // namespace saw::sandbox
