// Brings what a session changed into the workspace below it: all of it or nothing, whatever is killed when.
//
//   CommitPlaces places{.sources = …, .work = …, .next = …, .session = "s", .owner = …, .since = …};
//   CommitOutcome outcome = SAW_TRY(commit(places, {.root = "sha256:…", .classify = classify}));
//   if (!outcome.conflicts.empty()) …                // nothing was applied
//
// The order, and why a crash at any point leaves the old state or the new one:
//   1. list the changes again; their root must be the one that was shown ("commit.root" otherwise)
//   2. refuse what must not pass: devices, fifos, sockets ("commit.special_file"); conflicts: a path whose
//      ctime below is not older than the session (`since`), every entry of a deleted tree included, a path
//      copied from below that is gone there, a directory below that was replaced
//   3. stage each new file, link and directory in `work` (files of the session's own top layer are linked,
//      not copied), make the session's next directory, and sync the file system
//   4. write the journal (fsync): the point of no return. Without it the commit never happened
//   5. carry it out: directories and files in path order, each by one rename (or exchange, where a directory
//      gives way to a file or a file to a directory), then deletions, deepest first; sync
//   6. the next layer becomes the session's: an empty one, or what was withheld
// finish_commit() repeats 5 and 6 from the journal; each step knows whether it was done.
//
// Set-user-id and set-group-id bits do not survive. Access control lists and user.overlay.* attributes neither.
// Whoever the classifier withholds (the quarantine lane) stays in the session's view and does not reach the
// workspace; what hangs on it (the files of a withheld directory, the removal of a directory that holds a
// withheld file) is withheld with it. What the workspace's own processes change between 2 and 5 is noticed path
// by path: such a path is left alone, told in `failed`, and stays with the session.
// Where what stays cannot be written (a full disk), the commit is decided and not done: an Error, and
// finish_commit() does the rest once it can.
//
// The caller sees to it that no sandbox uses the session's layers meanwhile.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/changes.h"

namespace saw::sandbox {

struct FileOwner {
  uint32_t uid = 0, gid = 0;
};

// Where the session's next layer is made, and how it becomes the session's: the storage's business, which a
// commit only puts in its place in the order.
struct NextLayer {
  std::string token;  // names it in the journal: what take_over() finds it by after a crash
  Fd directory;       // gets the reference, and the layer as the directory `layer`
  std::string layer = "upper";
  std::function<Result<>()> take_over;      // one atomic step, on disk when it returns
  std::function<Result<bool>()> was_taken;  // it has happened already
};

struct CommitPlaces {
  ChangeSources sources;           // layers[0] is the session's own; others are shared and only read
  Fd work;                         // this commit's own directory, empty, on the file system of sources.base
  NextLayer next;                  // what the session goes on with
  std::string session;             // for messages
  std::optional<FileOwner> owner;  // absent: everything is the caller's (rootless)
  Nanos since = 0;                 // session_reference.h; only for commit()
};

enum class Disposition : uint8_t { apply, withhold };

// A change as a classifier sees it. The descriptors are of regular files, for reading.
struct Candidate {
  const ChangeRecord& change;
  std::function<Result<Fd>()> open_before, open_after;
};
using Classifier = std::function<Result<Disposition>(const Candidate&)>;

// Called before each step that changes a disk, with what it is: tests end the process there.
using CommitWitness = std::function<void(std::string_view step)>;

struct CommitRequest {
  std::string root;       // what was shown; empty: whatever there is now
  Classifier classify;    // absent: everything is applied
  CommitWitness witness;  // absent outside tests
};

struct CommitOutcome {
  std::string root;
  uint64_t applied = 0;
  std::vector<std::string> conflicts;  // not empty: nothing was applied
  std::vector<std::string> withheld;   // by the classifier, and what hangs on it
  std::vector<std::string> failed;     // changed in the workspace while the commit ran
};

Result<CommitOutcome> commit(const CommitPlaces& places, const CommitRequest& request);

// What was decided before a crash; nullopt: there is no journal in `work`, the commit never happened.
struct Decided {
  std::string session, next;  // NextLayer::token
};
Result<std::optional<Decided>> find_decided(int work);
// After a crash. false: there is no journal in places.work. Places as commit() had them; sources.layers as they
// are now.
Result<bool> finish_commit(const CommitPlaces& places, const CommitWitness& witness = {});

// The paths of sorted `changes` that were changed below since then.
std::vector<std::string> find_conflicts(const std::vector<ChangeRecord>& changes, Nanos since);
// Extends `withheld` (one flag for each of the sorted changes) to what hangs on a withheld one.
void spread_withheld(const std::vector<ChangeRecord>& changes, std::vector<bool>& withheld);

}  // namespace saw::sandbox
