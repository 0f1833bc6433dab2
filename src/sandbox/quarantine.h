// The quarantine lane (R118): what a commit keeps from the workspace because it would run later, until a
// person releases or rejects it.
//
//   storage.commit(w, s, {.root = root, .classify = classify_run_later});     // withholds; the session keeps it
//   std::vector<QuarantineItem> items = SAW_TRY(storage.update_quarantine(w, s));
//   …                                                                          // a person looks at
//   storage.changes(w, item.id)                                                // exactly this, and then
//   storage.release_quarantine(w, item.id, item.root);                         // release: as any commit
//   storage.remove_session(w, item.id);                                        // or reject
//
// An item is what one session wanted at one place ("/home/agent/.bashrc", "/workspace/.vscode" with all that
// is in it), copied out of the session into a layer of its own. It lies in the storage as a session that nobody
// runs in, so that listing, line diff, root, conflicts, journal and crash safety are those of every commit. The
// session goes on seeing its own version; what it does later does not change the item. What the session commits
// anew at the same place takes the place of the item.
//
// Everything is derived from the session's layer as a commit left it: to be killed between the two costs
// nothing, the next commit finds it again.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/commit.h"
#include "sandbox/run_later.h"

namespace saw::sandbox {

constexpr size_t kMaxQuarantined = 64;  // items of one workspace; with more, the rest waits in its session
constexpr std::string_view kQuarantinePrefix = "qu-";
bool is_quarantine_id(std::string_view id);

// Why a change would run later; nullopt: it would not. A deletion runs nothing, and what is neither file nor
// link no commit takes.
Result<std::optional<RunLaterFinding>> judge_change(const Candidate& candidate);
// CommitRequest::classify.
Result<Disposition> classify_run_later(const Candidate& candidate);

// What hangs together: the changes at one place, by their index in a list.
struct QuarantineGroup {
  RunLaterFinding finding;  // the first
  std::string place;
  std::vector<size_t> members;
};
// All changes of `changes` that run later, with what hangs on them (commit.h), by place.
Result<std::vector<QuarantineGroup>> group_run_later(const ChangeSources& sources,
                                                     const std::vector<ChangeRecord>& changes);

// Copies `members` into the empty layer `upper`, so that it holds these changes against sources.base and no
// others.
Result<> fill_layer(const Fd& upper, const ChangeSources& sources, const std::vector<ChangeRecord>& changes,
                    std::span<const size_t> members, const std::optional<FileOwner>& owner);

// filesystem.runLater: deny. "commit.run_later", naming what would run later and why.
Result<> refuse_run_later(const ChangeSources& sources);

}  // namespace saw::sandbox
