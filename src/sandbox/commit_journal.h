// The intent of a commit, as it lies on disk between "decided" and "done", and the two sides of it: making
// one (commit_stage.cc) and carrying one out (commit_apply.cc). Internal to commit.h.
#pragma once

#include <string>
#include <vector>

#include "base/wire.h"
#include "sandbox/commit.h"

namespace saw::sandbox {

enum class CommitAction : uint8_t {
  place,             // stage/<entry> takes the path where nothing lies
  replace,           // stage/<entry> takes the path of a file or link
  exchange,          // stage/<entry> and what lies there change places: one of them is a directory
  attributes,        // the directory gets mode and attributes of stage/<entry>
  remove,            // a file or link goes
  remove_directory,  // an empty directory goes
  carry,             // withheld: the session's next layer gets it
};
constexpr CommitAction kEnumLast(CommitAction) {
  return CommitAction::carry;
}

struct CommitStep {
  CommitAction action = CommitAction::place;
  std::string path;
  uint64_t entry = 0;         // of the stage
  uint64_t inode = 0;         // that stage/<entry> had: another one, or none, means that the step was done
  uint32_t mode = 0;          // of the file placed
  int64_t below_changed = 0;  // ctime of what lies there; 0: not compared
  uint32_t layer = 0;         // that holds the change, should it have to be carried
  bool deletes = false;       // the change is a deletion
  bool linked = false;        // stage/<entry> is the session's own inode
  template <class A> void members(A& a) {
    a(action, path, entry, inode, mode, below_changed, layer, deletes, linked);
  }
};

struct CommitJournal {
  std::string session;
  std::string next;  // NextLayer::token
  std::vector<CommitStep> steps;
  template <class A> void members(A& a) { a(session, next, steps); }
};

constexpr const char* kJournalName = "journal";
constexpr const char* kStageName = "stage";
constexpr size_t kMaxJournal = 64u << 20;

// Stages everything in places.work and writes the journal.
Result<CommitJournal> stage_commit(const CommitPlaces& places, const std::vector<ChangeRecord>& changes,
                                   const std::vector<bool>& withheld, const CommitWitness& witness);
// Carries it out to the end. Returns the paths that could not be applied and stayed with the session.
Result<std::vector<std::string>> apply_commit(const CommitPlaces& places, const CommitJournal& journal,
                                              const CommitWitness& witness);

inline void tell(const CommitWitness& witness, std::string_view step) {
  if (witness) witness(step);
}
Result<> sync_file_system(int directory);
// A new file `name` with the content, mode, attributes and times of `source`.
Result<> copy_file(int directory, const std::string& name, const Fd& source,
                   const std::optional<FileOwner>& owner);
// A new directory with mode and attributes of the open directory `like`.
Result<> copy_directory(int parent, const std::string& name, int like, const std::optional<FileOwner>& owner);
Result<> copy_link(int directory, const std::string& name, const std::string& target,
                   const std::optional<FileOwner>& owner);

}  // namespace saw::sandbox
