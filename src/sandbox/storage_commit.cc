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

constexpr const char* kNextName = "next";  // below a commit's directory: the session's next one
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

Result<> exchange(int work, const std::string& sessions, const std::string& session) {
  const Fd directory = SAW_TRY(Fd::open(sessions, kOpenDirectory));
  if (::renameat2(work, kNextName, directory.get(), session.c_str(), RENAME_EXCHANGE) != 0)
    return Error::system("commit.session", "exchanging the layer of session '{}'", session);
  return {};
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
  struct stat info{};
  const std::string path = session_path(workspace, session);
  if (::lstat(path.c_str(), &info) != 0)
    return Error::make("storage.unknown", "there is no storage of session '{}'", session);
  ChangeSources sources{.mounter = options_.first_agent_uid ? Mounter::root : Mounter::user};
  sources.layers.push_back(SAW_TRY(Fd::open(path + "/upper", kOpenDirectory)));
  sources.base = SAW_TRY(Fd::open(workspace_path(workspace) + "/fs", kOpenDirectory));
  return sources;
}

Result<ChangeList> Storage::changes(const std::string& workspace, const std::string& session) const {
  return list_changes(SAW_TRY(session_sources(workspace, session)));
}

Result<Fd> Storage::commits_of(const std::string& workspace) const {
  const std::string path = workspace_path(workspace) + "/commits";
  SAW_TRY(make_directories(path, 0700));
  return Fd::open(path, kOpenDirectory);
}

// A session directory beside the commit's other files, exchanged for the session's own in one step. Which of
// the two is which is told by its inode.
Result<NextLayer> Storage::next_layer(const std::string& workspace, const std::string& session,
                                      const Fd& work, std::optional<FileOwner> owner) const {
  NextLayer next;
  auto decided = SAW_TRY(find_decided(work.get()));
  if (!decided) SAW_TRY(make_session_directory(work.get(), kNextName, owner));
  const std::string sessions = workspace_path(workspace) + "/sessions";
  next.directory = Fd(::openat(work.get(), kNextName, kOpenDirectory | O_CLOEXEC));
  if (!next.directory) return Error::system("commit.work", "opening the session's next layer");
  struct stat info{};
  if (::fstat(next.directory.get(), &info) != 0)
    return Error::system("commit.work", "looking at the session's next layer");
  next.token = decided ? decided->next : std::to_string(info.st_ino);
  next.was_taken = [current = session_path(workspace, session), token = next.token]() -> Result<bool> {
    struct stat now{};
    if (::lstat(current.c_str(), &now) != 0)
      return Error::system("commit.session", "looking at the session's directory");
    return std::to_string(now.st_ino) == token;
  };
  next.take_over = [sessions, session, raw = work.get()]() -> Result<> {
    SAW_TRY(exchange(raw, sessions, session));
    const Fd directory = SAW_TRY(Fd::open(sessions, kOpenDirectory));
    if (::fsync(directory.get()) != 0)
      return Error::system("commit.session", "writing session '{}'", session);
    return {};
  };
  return next;
}

Result<CommitPlaces> Storage::commit_places(const std::string& workspace, const std::string& session,
                                            const std::string& work) const {
  CommitPlaces places{.session = session, .owner = owner_of(SAW_TRY(index(workspace)))};
  places.sources = SAW_TRY(session_sources(workspace, session));
  places.work = SAW_TRY(Fd::open(workspace_path(workspace) + "/commits/" + work, kOpenDirectory));
  SAW_TRY(lock(places.work));
  places.next = SAW_TRY(next_layer(workspace, session, places.work, places.owner));
  return places;
}

// A directory for one change of a settled session's layers.
Result<Storage::WorkDirectory> Storage::begin_work(const std::string& workspace, const std::string& session,
                                                   std::string_view what) {
  SAW_TRY(session_sources(workspace, session));
  SAW_TRY(finish_commits(workspace));
  SAW_TRY(require_settled(workspace, session));
  WorkDirectory out{.commits = SAW_TRY(commits_of(workspace)), .name = random_id("co-")};
  if (::mkdirat(out.commits.get(), out.name.c_str(), 0700) != 0)
    return Error::system("commit.work", "making the directory of {}", what);
  return out;
}

Result<CommitOutcome> Storage::commit(const std::string& workspace, const std::string& session,
                                      const CommitRequest& request) {
  auto [commits, work] = SAW_TRY(begin_work(workspace, session, "a commit"));
  auto outcome = [&]() -> Result<CommitOutcome> {
    CommitPlaces places = SAW_TRY(commit_places(workspace, session, work));
    Fd directory = SAW_TRY(Fd::open(session_path(workspace, session), kOpenDirectory));
    places.since = SAW_TRY(read_reference(directory.get()));
    return sandbox::commit(places, request);
  }();
  // Decided and not carried out (an input/output error, say): what is left of it is finished by open().
  const bool undone =
      !outcome && ::faccessat(commits.get(), (work + "/" + kJournalName).c_str(), F_OK, 0) == 0;
  if (!undone) SAW_TRY(trash_.take(commits.get(), work));
  return outcome;
}

Result<> Storage::discard(const std::string& workspace, const std::string& session) {
  auto [commits, work] = SAW_TRY(begin_work(workspace, session, "a discard"));
  auto done = [&]() -> Result<> {
    const CommitPlaces places = SAW_TRY(commit_places(workspace, session, work));
    // Not synced, since nothing is lost: after a crash of the host the session may have its old files again.
    return exchange(places.work.get(), workspace_path(workspace) + "/sessions", session);
  }();
  SAW_TRY(trash_.take(commits.get(), work));
  return done;
}

// A commit that is decided and could not be carried out (the disk is full, say) must not be overtaken: what the
// session wrote meanwhile would go when it is finished.
Result<> Storage::require_settled(const std::string& workspace, const std::string& session) const {
  const std::string path = workspace_path(workspace) + "/commits";
  for (const std::string& work : works_in(path)) {
    const Fd directory = SAW_TRY(Fd::open(fmt::format("{}/{}", path, work), kOpenDirectory));
    const auto decided = SAW_TRY(find_decided(directory.get()));
    if (decided && decided->session == session)
      return Error::make(
          "commit.pending",
          "a commit of session '{}' is decided and not carried out yet; saw-node's log says why", session);
  }
  return {};
}

Result<> Storage::finish_commits(const std::string& workspace) {
  const std::string path = workspace_path(workspace) + "/commits";
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
