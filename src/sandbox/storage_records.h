// Which layers make up which tree: one small file for each workspace, session and snapshot, all of them known
// in memory. Each change is one atomic step on disk, so a crash leaves the state before or after it.
//
//   Records records = SAW_TRY(Records::open("/var/lib/saw/node/ws", trash));
//   const WorkspaceRecord& w = *SAW_TRY(records.workspace("ws-1"));
//   SAW_TRY(records.put("ws-1", changed));                // whole and on disk, or as it was
//
//   <ws>/<workspace>/record                    index, upper, frozen
//                   /sessions/<session>/record upper, frozen, base
//                   /snapshots/<name>/record   frozen
//
// A session's record is not flushed when it is new: one that is empty after a loss of power is no session. Any other
// record that cannot be read makes its owner an error ("storage.record") and stops everything that needs to
// know all records: new indices, and the sweep of layers that nobody names.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "sandbox/storage_trash.h"

namespace saw::sandbox {

using LayerList = std::vector<std::string>;  // top first

struct SessionRecord {
  std::string upper;
  LayerList frozen;          // its own, from forks
  LayerList base;            // the workspace's when it began: upper and frozen
  LayerList own() const;     // without the base
  LayerList layers() const;  // all
  template <class A> void members(A& a) { a(upper, frozen, base); }
};
struct SnapshotRecord {
  uint64_t created = 0;  // nanoseconds, as sawd said
  LayerList frozen;
  template <class A> void members(A& a) { a(created, frozen); }
};
struct WorkspaceRecord {
  uint32_t index = 0;
  std::string upper;
  LayerList frozen;
  LayerList layers() const;
  template <class A> void members(A& a) { a(index, upper, frozen); }
  std::map<std::string, SessionRecord> sessions;    // files of their own
  std::map<std::string, SnapshotRecord> snapshots;  // likewise
};

class Records {
 public:
  // What a killed process had half made goes to the trash.
  static Result<Records> open(std::string directory, Trash& trash);

  // "storage.unknown" when there is none.
  Result<const WorkspaceRecord*> workspace(const std::string& workspace) const;
  Result<const SessionRecord*> session(const std::string& workspace, const std::string& session) const;
  bool has(const std::string& workspace) const;

  // On disk when they return. put() of a workspace leaves its sessions and snapshots alone.
  Result<> put(const std::string& workspace, WorkspaceRecord record);
  // `how`: of a session that is there already; a new one is not flushed.
  Result<> put(const std::string& workspace, const std::string& session, SessionRecord record,
               Durability how = Durability::fsync);
  Result<> put(const std::string& workspace, const std::string& snapshot, SnapshotRecord record);
  // Absent: fine.
  Result<> remove(const std::string& workspace, Trash& trash);
  Result<> remove_session(const std::string& workspace, const std::string& session, Trash& trash);
  Result<> remove_snapshot(const std::string& workspace, const std::string& snapshot, Trash& trash);

  Result<> remove_commits(const std::string& workspace, Trash& trash);
  // The workspace as it is on disk, where another process may have changed it. Gone: fine.
  Result<> reload(const std::string& workspace, Trash& trash);
  std::vector<std::string> workspaces() const;  // that could be read
  std::string path(const std::string& workspace) const { return directory_ + "/" + workspace; }
  int descriptor() const { return fd_.get(); }

  // Errors unless every record could be read.
  Result<std::set<uint32_t>> indices() const;
  Result<std::set<std::string>> layers() const;

 private:
  Records(std::string directory, Fd fd) : directory_(std::move(directory)), fd_(std::move(fd)) {}
  Result<> load(const std::string& workspace, Trash& trash);
  Result<> complete() const;
  template <class Record>
  Result<> write(const std::string& parent, const std::string& name, Record& record,
                 Durability how = Durability::fsync);

  std::string directory_;
  Fd fd_;
  std::map<std::string, WorkspaceRecord> workspaces_;
  std::set<std::string> unreadable_;
};

}  // namespace saw::sandbox
