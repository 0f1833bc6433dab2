#include "sandbox/commit.h"

#include <algorithm>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "sandbox/changed_files.h"
#include "sandbox/commit_journal.h"

namespace saw::sandbox {
namespace {

constexpr size_t kMaxNamed = 20;  // paths in a message

bool is_directory(const std::optional<FileState>& state) {
  return state && state->type == FileType::directory;
}

// Calls `visit` with each proper ancestor of `path`, nearest first.
template <class Visit> void each_ancestor(std::string_view path, Visit visit) {
  for (size_t end = path.rfind('/'); end != path.npos && end > 0; end = path.rfind('/', end - 1))
    visit(path.substr(0, end));
}

Result<> refuse_special(const std::vector<ChangeRecord>& changes, const std::vector<bool>& withheld) {
  std::string names;
  size_t count = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    if (withheld[i] || !changes[i].after || changes[i].after->type != FileType::other) continue;
    if (++count <= kMaxNamed) names += (names.empty() ? "'" : ", '") + printable(changes[i].path) + "'";
  }
  if (count == 0) return {};
  return Error::make(
      "commit.special_file",
      "a device, fifo or socket cannot be committed: {}{}. Remove it in the session, then commit", names,
      count > kMaxNamed ? fmt::format(" and {} more", count - kMaxNamed) : "");
}

Result<std::vector<bool>> classify(const CommitPlaces& places, const CommitRequest& request,
                                   const std::vector<ChangeRecord>& changes) {
  std::vector<bool> withheld(changes.size());
  if (!request.classify) return withheld;
  ChangedFiles files(places.sources);
  for (size_t i = 0; i < changes.size(); ++i) {
    const Candidate candidate{.change = changes[i],
                              .open_before = [&] { return files.before(changes[i]); },
                              .open_after = [&] { return files.after(changes[i]); }};
    withheld[i] = SAW_TRY(request.classify(candidate)) == Disposition::withhold;
  }
  spread_withheld(changes, withheld);
  return withheld;
}

}  // namespace

std::vector<std::string> find_conflicts(const std::vector<ChangeRecord>& changes, Nanos since) {
  std::vector<std::string> out;
  for (const ChangeRecord& change : changes) {
    const bool changed_below = change.before && change.below_changed >= since;
    // A copy of something that is no longer there: deleted below, or moved within the session. If its
    // directory below has not changed, it was the session.
    const bool gone_below = !change.before && change.copied_up && change.directory_changed >= since;
    if (changed_below || gone_below || change.moved_below) out.push_back(change.path);
  }
  return out;
}

void spread_withheld(const std::vector<ChangeRecord>& changes, std::vector<bool>& withheld) {
  // A directory that is not made, and one that does not give way to a file, keep what is below from changing.
  std::set<std::string, std::less<>> roots;
  for (size_t i = 0; i < changes.size(); ++i) {
    const ChangeRecord& change = changes[i];
    each_ancestor(change.path, [&](std::string_view above) {
      if (roots.contains(above)) withheld[i] = true;
    });
    const bool turns = is_directory(change.before) != is_directory(change.after) && change.after;
    if (withheld[i] && turns) roots.insert(change.path);
  }
  // A directory cannot go before what is in it.
  std::set<std::string, std::less<>> kept;
  for (size_t i = changes.size(); i-- > 0;) {
    const ChangeRecord& change = changes[i];
    const bool goes = is_directory(change.before) && !is_directory(change.after);
    if (goes && kept.contains(change.path)) withheld[i] = true;
    if (withheld[i]) each_ancestor(change.path, [&](std::string_view above) { kept.emplace(above); });
  }
}

Result<CommitOutcome> commit(const CommitPlaces& places, const CommitRequest& request) {
  const ChangeList list = SAW_TRY(list_changes(places.sources), "listing what the session changed");
  if (!list.root)
    return Error::make("commit.too_much",
                       "the session's changes cannot be listed completely ({}): nothing is committed",
                       list.limit);
  CommitOutcome outcome{.root = digest_text(*list.root)};
  if (!request.root.empty() && request.root != outcome.root)
    return Error::make("commit.root",
                       "the changes are not the ones that were shown: their root is {}, not {}. Look at the "
                       "diff again",
                       outcome.root, request.root);
  const std::vector<bool> withheld =
      SAW_TRY(classify(places, request, list.changes), "classifying the changes");
  SAW_TRY(refuse_special(list.changes, withheld));
  std::vector<ChangeRecord> applied;
  for (size_t i = 0; i < list.changes.size(); ++i) {
    if (withheld[i])
      outcome.withheld.push_back(list.changes[i].path);
    else
      applied.push_back(list.changes[i]);
  }
  outcome.conflicts = find_conflicts(applied, places.since);
  if (!outcome.conflicts.empty() || applied.empty()) return outcome;
  const CommitJournal journal = SAW_TRY(stage_commit(places, list.changes, withheld, request.witness));
  outcome.failed = SAW_TRY(apply_commit(places, journal, request.witness), "carrying out a commit");
  outcome.applied = applied.size() - std::min(applied.size(), outcome.failed.size());
  return outcome;
}

namespace {

Result<std::optional<CommitJournal>> read_journal(int work) {
  Fd file(::openat(work, kJournalName, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::optional<CommitJournal>();
  if (!file) return Error::system("commit.journal", "opening the journal of a commit");
  const std::string bytes = SAW_TRY(read_all(file, kMaxJournal));
  return std::optional(SAW_TRY(wire::decode_struct<CommitJournal>(bytes), "reading the journal of a commit"));
}

}  // namespace

Result<std::optional<Decided>> find_decided(int work) {
  auto journal = SAW_TRY(read_journal(work));
  if (!journal) return std::optional<Decided>();
  return std::optional(Decided{std::move(journal->session), std::move(journal->next)});
}

Result<bool> finish_commit(const CommitPlaces& places, const CommitWitness& witness) {
  const auto journal = SAW_TRY(read_journal(places.work.get()));
  if (!journal) return false;
  SAW_TRY(apply_commit(places, *journal, witness), "finishing a commit");
  return true;
}

}  // namespace saw::sandbox
