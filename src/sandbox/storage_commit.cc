// The part of Storage that reads, commits and discards what sessions wrote.
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"
#include "sandbox/commit_journal.h"
#include "sandbox/session_reference.h"
#include "sandbox/storage.h"

namespace saw::sandbox {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

// Released with the descriptor: when a process that was killed in the middle is really gone, the next one may
// finish its work.
Result<> lock(const Fd& directory) {
  while (::flock(directory.get(), LOCK_EX) != 0)
    if (errno != EINTR) return Error::system("commit.lock", "waiting for a commit that was interrupted");
  return {};
}

std::vector<std::string> works_in(const std::string& commits) {
  std::vector<std::string> found;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(commits, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    found.push_back(it->path().filename().string());
  return found;
}

}  // namespace

std::optional<FileOwner> Storage::owner_of(uint32_t index) const {
  if (!options_.first_agent_uid) return std::nullopt;
  const uint32_t uid = *options_.first_agent_uid + index;
  return FileOwner{uid, uid};
}

Result<ChangeSources> Storage::session_sources(const std::string& workspace,
                                               const std::string& session) const {
  if (!is_valid_id(session)) return Error::make("storage.bad_id", "the session id is not valid");
  SAW_TRY(index(workspace));
  const SessionRecord& record = *SAW_TRY(records_.session(workspace, session));
  // With the workspace as it is now: what it stands on may be more than when the session began.
  const LayerList below = SAW_TRY(records_.workspace(workspace))->layers();
  ChangeSources sources{.mounter = options_.first_agent_uid ? Mounter::root : Mounter::user};
  for (const std::string& layer : record.own())
    sources.layers.push_back(SAW_TRY(Fd::open(layers_.files(layer), kOpenDirectory)));
  for (const std::string& layer : below)
    sources.below.push_back(SAW_TRY(Fd::open(layers_.files(layer), kOpenDirectory)));
  sources.base = SAW_TRY(view(below));
  return sources;
}

Result<ChangeList> Storage::changes(const std::string& workspace, const std::string& session) const {
  return list_changes(SAW_TRY(session_sources(workspace, session)));
}

std::string Storage::commits_path(const std::string& workspace) const {
  return records_.path(workspace) + "/commits";
}

Result<Fd> Storage::commits_of(const std::string& workspace) const {
  SAW_TRY(make_directories(commits_path(workspace), 0700));
  return Fd::open(commits_path(workspace), kOpenDirectory);
}

// A layer that no record names yet, and one record that names it: the journal knows it by its name.
Result<NextLayer> Storage::next_layer(const std::string& workspace, const std::string& session,
                                      const Fd& work, uint32_t index) {
  NextLayer next{.layer = "files"};
  auto decided = SAW_TRY(find_decided(work.get()));
  next.token = decided ? decided->next : SAW_TRY(make_session_layer(index));
  if (LayerStore::index_of(next.token) != index)
    return Error::make("commit.journal", "the journal of a commit names '{}', which is not a layer of it",
                       next.token);
  next.directory = SAW_TRY(Fd::open(layers_.directory(next.token), kOpenDirectory));
  next.was_taken = [this, workspace, session, token = next.token]() -> Result<bool> {
    return SAW_TRY(records_.session(workspace, session))->upper == token;
  };
  next.take_over = [this, workspace, session, token = next.token]() -> Result<> {
    SessionRecord record{.upper = token, .base = SAW_TRY(records_.workspace(workspace))->layers()};
    return records_.put(workspace, session, std::move(record));
  };
  return next;
}

Result<CommitPlaces> Storage::commit_places(const std::string& workspace, const std::string& session,
                                            const std::string& work) {
  const WorkspaceRecord& below = *SAW_TRY(records_.workspace(workspace));
  CommitPlaces places{.session = session, .owner = owner_of(below.index)};
  places.sources = SAW_TRY(session_sources(workspace, session));
  places.work = SAW_TRY(Fd::open(commits_path(workspace) + "/" + work, kOpenDirectory));
  SAW_TRY(lock(places.work));
  places.next = SAW_TRY(next_layer(workspace, session, places.work, below.index));
  return places;
}

// A directory for the work of a settled session's commit.
Result<Storage::WorkDirectory> Storage::begin_work(const std::string& workspace, const std::string& session) {
  SAW_TRY(session_sources(workspace, session));
  SAW_TRY(finish_commits(workspace));
  SAW_TRY(require_settled(workspace, session));
  WorkDirectory out{.commits = SAW_TRY(commits_of(workspace)), .name = random_id("co-")};
  if (::mkdirat(out.commits.get(), out.name.c_str(), 0700) != 0)
    return Error::system("commit.work", "making the directory of a commit");
  return out;
}

Result<CommitOutcome> Storage::commit(const std::string& workspace, const std::string& session,
                                      const CommitRequest& request) {
  const auto [commits, work] = SAW_TRY(begin_work(workspace, session));
  const SessionRecord before = *SAW_TRY(records_.session(workspace, session));
  LayerList unused = before.layers();
  auto outcome = [&]() -> Result<CommitOutcome> {
    CommitPlaces places = SAW_TRY(commit_places(workspace, session, work));
    unused.push_back(places.next.token);
    // A forked session goes on from when its first layer began.
    const std::string& oldest = before.frozen.empty() ? before.upper : before.frozen.back();
    Fd directory = SAW_TRY(Fd::open(layers_.directory(oldest), kOpenDirectory));
    places.since = SAW_TRY(read_reference(directory.get()));
    return sandbox::commit(places, request);
  }();
  // Decided and not carried out (an input/output error, say): what is left of it is finished by open().
  const bool undone =
      !outcome && ::faccessat(commits.get(), (work + "/" + kJournalName).c_str(), F_OK, 0) == 0;
  if (undone) return outcome;
  SAW_TRY(trash_.take(commits.get(), work));
  SAW_TRY(drop_unused(unused));
  return outcome;
}

Result<> Storage::discard(const std::string& workspace, const std::string& session) {
  if (!is_valid_id(session)) return Error::make("storage.bad_id", "the session id is not valid");
  const uint32_t owner = SAW_TRY(index(workspace));
  SAW_TRY(finish_commits(workspace));
  SAW_TRY(require_settled(workspace, session));
  const SessionRecord before = *SAW_TRY(records_.session(workspace, session));
  SessionRecord record{.upper = SAW_TRY(make_session_layer(owner)),
                       .base = SAW_TRY(records_.workspace(workspace))->layers()};
  // Not synced, since nothing is lost: after a crash of the host the session may have its old files again.
  SAW_TRY(records_.put(workspace, session, std::move(record), Durability::none));
  return drop_unused(before.layers());
}

std::vector<int> Storage::descriptors() const {
  return {records_.descriptor(), layers_.descriptor(), trash_.descriptor()};
}

Result<> Storage::settle(const std::string& workspace) {
  auto known = records_.workspace(workspace);
  if (!known) return {};  // removed meanwhile
  const uint32_t index = (*known)->index;
  SAW_TRY(records_.reload(workspace, trash_));
  SAW_TRY(finish_commits(workspace));
  // It may have been ended between making a layer and naming it.
  std::set<std::string> used = SAW_TRY(records_.layers());
  SAW_TRY(add_pending_layers(workspace, used));
  return layers_.sweep(used, trash_, index);
}

// The layers that a decided commit is about to use: no record names them yet.
Result<> Storage::add_pending_layers(const std::string& workspace, std::set<std::string>& used) const {
  for (const std::string& work : works_in(commits_path(workspace))) {
    const Fd directory = SAW_TRY(Fd::open(commits_path(workspace) + "/" + work, kOpenDirectory));
    if (const auto decided = SAW_TRY(find_decided(directory.get()))) used.insert(decided->next);
  }
  return {};
}

// A commit that is decided and could not be carried out (the disk is full, say) must not be overtaken: what the
// session wrote meanwhile would go when it is finished.
Result<> Storage::require_settled(const std::string& workspace, const std::string& session) const {
  const std::string path = commits_path(workspace);
  for (const std::string& work : works_in(path)) {
    const Fd directory = SAW_TRY(Fd::open(fmt::format("{}/{}", path, work), kOpenDirectory));
    const auto decided = SAW_TRY(find_decided(directory.get()));
    if (decided && (session.empty() || decided->session == session))
      return Error::make(
          "commit.pending",
          "a commit of session '{}' is decided and not carried out yet; saw-node's log says why",
          decided->session);
  }
  return {};
}

Result<> Storage::finish_commits(const std::string& workspace) {
  const std::string path = commits_path(workspace);
  if (::access(path.c_str(), F_OK) != 0) return {};
  const Fd commits = SAW_TRY(commits_of(workspace));
  for (const std::string& work : works_in(path)) {
    const std::string journal = fmt::format("{}/{}/{}", path, work, kJournalName);
    if (::access(journal.c_str(), F_OK) == 0) {
      auto finished = [&]() -> Result<> {
        const Fd directory = SAW_TRY(Fd::open(fmt::format("{}/{}", path, work), kOpenDirectory));
        const auto decided = SAW_TRY(find_decided(directory.get()));
        if (!decided) return {};
        const CommitPlaces places = SAW_TRY(commit_places(workspace, decided->session, work));
        SAW_TRY(finish_commit(places));
        return {};
      }();
      // One workspace that cannot be finished must not keep the others from starting: its commit stays where
      // it is, and is tried again at the next start.
      if (!finished) {
        log_error("workspace '{}': a commit that was interrupted could not be finished: {}", workspace,
                  finished.error().message);
        continue;
      }
      log_info("workspace '{}': finished a commit that was interrupted", workspace);
    }
    SAW_TRY(trash_.take(commits.get(), work));
  }
  return {};
}

}  // namespace saw::sandbox
