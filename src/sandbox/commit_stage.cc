#include <algorithm>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "os/xattr.h"
#include "sandbox/commit_journal.h"

namespace saw::sandbox {
namespace {

constexpr mode_t kKeptModeBits = 01777;  // set-user-id and set-group-id do not survive
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

Result<> give(const Fd& fd, const std::optional<FileOwner>& owner) {
  if (owner && ::fchown(fd.get(), owner->uid, owner->gid) != 0)
    return Error::system("commit.owner", "giving a file to uid {}", owner->uid);
  return {};
}

struct Extent {
  off_t begin = 0, end = 0;
};

// The next bytes of a file that are no hole, at or after `from`; nullopt: none.
Result<std::optional<Extent>> next_data(const Fd& file, off_t from, off_t size) {
  const off_t begin = ::lseek(file.get(), from, SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return std::optional<Extent>();
  if (begin < 0) return std::optional(Extent{from, size});  // the file system does not say
  const off_t end = ::lseek(file.get(), begin, SEEK_HOLE);
  return std::optional(Extent{begin, end < 0 ? size : end});
}

Result<> copy_extent(const Fd& from, const Fd& to, Extent extent) {
  off_t in = extent.begin, out = extent.begin;
  while (in < extent.end) {
    const ssize_t n =
        ::copy_file_range(from.get(), &in, to.get(), &out, static_cast<size_t>(extent.end - in), 0);
    if (n == 0) return {};
    if (n < 0 && errno != EINTR) break;
  }
  if (in >= extent.end) return {};
  if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
    return Error::system("commit.copy", "copying a file");
  std::string buffer(256u << 10, '\0');
  if (::lseek(to.get(), out, SEEK_SET) < 0) return Error::system("commit.copy", "copying a file");
  while (in < extent.end) {
    const size_t wanted = std::min(buffer.size(), static_cast<size_t>(extent.end - in));
    const ssize_t n = ::pread(from.get(), buffer.data(), wanted, in);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::system("commit.copy", "copying a file");
    if (n == 0) return {};
    SAW_TRY(write_all(to, std::string_view(buffer.data(), static_cast<size_t>(n))));
    in += n;
  }
  return {};
}

// Holes stay holes: an agent makes one of a terabyte for nothing.
Result<> copy_bytes(const Fd& from, const Fd& to, off_t size) {
  for (off_t at = 0; at < size;) {
    const auto extent = SAW_TRY(next_data(from, at, size));
    if (!extent) break;
    SAW_TRY(copy_extent(from, to, {extent->begin, std::min(extent->end, size)}));
    at = extent->end;
  }
  if (::ftruncate(to.get(), size) != 0) return Error::system("commit.copy", "copying a file");
  return {};
}

class Stage {
 public:
  Stage(const CommitPlaces& places, const CommitWitness& witness) : places_(places), witness_(witness) {
    for (const Fd& layer : places.sources.layers) cursors_.emplace_back(layer.get());
  }

  Result<> open() {
    if (::mkdirat(places_.work.get(), kStageName, 0700) != 0)
      return Error::system("commit.stage", "making the stage of a commit");
    stage_ = Fd(::openat(places_.work.get(), kStageName, kOpenDirectory));
    if (!stage_) return Error::system("commit.stage", "opening the stage of a commit");
    return {};
  }

  // The step that brings `change` into the workspace.
  Result<CommitStep> step_for(const ChangeRecord& change) {
    CommitStep step{.path = change.path,
                    .below_changed = change.below_linked ? 0 : change.below_changed,
                    .layer = static_cast<uint32_t>(change.layer),
                    .deletes = !change.after};
    const bool directory_below = change.before && change.before->type == FileType::directory;
    if (!change.after) {
      step.action = directory_below ? CommitAction::remove_directory : CommitAction::remove;
      return step;
    }
    const bool directory = change.after->type == FileType::directory;
    step.mode = change.after->mode & kKeptModeBits;
    step.action = directory && directory_below   ? CommitAction::attributes
                  : directory || directory_below ? CommitAction::exchange
                                                 : CommitAction::replace;
    if (!change.before) step.action = CommitAction::place;
    step.entry = next_++;
    step.linked = SAW_TRY(fill(change, std::to_string(step.entry))) == Staged::linked;
    const auto info = look_at(stage_.get(), std::to_string(step.entry));
    if (!info) return Error::system("commit.stage", "staging '{}'", printable(change.path));
    step.inode = info->st_ino;
    return step;
  }

 private:
  enum class Staged : uint8_t { copied, linked };
  Result<Staged> fill(const ChangeRecord& change, const std::string& entry) {
    const auto place = SAW_TRY(cursors_.at(change.layer).find(change.path));
    const auto info = place ? look_at(place->directory, place->name) : std::nullopt;
    if (!info || type_of(info->st_mode) != change.after->type)
      return Error::make("changes.moved", "'{}' changed while it was committed", printable(change.path));
    tell(witness_, "stage");
    switch (change.after->type) {
      case FileType::symlink:
        SAW_TRY(copy_link(stage_.get(), entry, change.after->target, places_.owner));
        return Staged::copied;
      case FileType::directory: {
        const Fd like(::openat(place->directory, place->name.c_str(), kOpenDirectory));
        if (!like) return Error::system("commit.stage", "opening '{}'", printable(change.path));
        SAW_TRY(copy_directory(stage_.get(), entry, like.get(), places_.owner));
        return Staged::copied;
      }
      case FileType::file:
        break;
      case FileType::other:
        return Error::make("commit.special_file", "'{}' cannot be committed", printable(change.path));
    }
    // The session's own file becomes the workspace's, and the layer that held it goes. A shared layer's does
    // not: whoever else sees that layer must not see the workspace write.
    if (change.layer == 0 &&
        ::linkat(place->directory, place->name.c_str(), stage_.get(), entry.c_str(), 0) == 0)
      return Staged::linked;
    const Fd source = SAW_TRY(open_regular(place->directory, place->name));
    SAW_TRY(copy_file(stage_.get(), entry, source, places_.owner));
    return Staged::copied;
  }

  const CommitPlaces& places_;
  const CommitWitness& witness_;
  std::vector<TreeCursor> cursors_;
  Fd stage_;
  uint64_t next_ = 0;
};

Result<> write_journal(const CommitPlaces& places, const CommitJournal& journal,
                       const CommitWitness& witness) {
  const std::string temporary = random_id(".journal-");
  Fd file(::openat(places.work.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return Error::system("commit.journal", "making the journal of a commit");
  const std::string bytes = wire::encode_struct(journal);
  if (bytes.size() > kMaxJournal)
    return Error::make("commit.too_much", "a journal of {} bytes", bytes.size());
  SAW_TRY(write_all(file, bytes));
  tell(witness, "journal");
  if (::fsync(file.get()) != 0 ||
      ::renameat(places.work.get(), temporary.c_str(), places.work.get(), kJournalName) != 0 ||
      ::fsync(places.work.get()) != 0)
    return Error::system("commit.journal", "writing the journal of a commit");
  tell(witness, "journal written");
  return {};
}

}  // namespace

Result<> sync_file_system(int directory) {
  if (::syncfs(directory) != 0) return Error::system("commit.sync", "writing a commit to the disk");
  return {};
}

namespace {

Result<> fill_copy(const Fd& file, const Fd& source, const std::optional<FileOwner>& owner) {
  struct stat info{};
  if (::fstat(source.get(), &info) != 0) return Error::system("commit.copy", "copying a file");
  SAW_TRY(copy_bytes(source, file, info.st_size));
  SAW_TRY(give(file, owner));
  const std::vector<os::Attribute> attributes = SAW_TRY(os::user_attributes(source.get()));
  SAW_TRY(os::set_user_attributes(file.get(), attributes));
  const timespec times[2] = {info.st_atim, info.st_mtim};
  if (::fchmod(file.get(), info.st_mode & kKeptModeBits) != 0 || ::futimens(file.get(), times) != 0)
    return Error::system("commit.copy", "copying a file");
  return {};
}

}  // namespace

Result<> copy_file(int directory, const std::string& name, const Fd& source,
                   const std::optional<FileOwner>& owner) {
  Fd file(::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return Error::system("commit.copy", "copying a file");
  auto filled = fill_copy(file, source, owner);
  if (!filled) ::unlinkat(directory, name.c_str(), 0);  // on a full disk, half a file is in the way
  return filled;
}

Result<> copy_directory(int parent, const std::string& name, int like,
                        const std::optional<FileOwner>& owner) {
  struct stat info{};
  if (::fstat(like, &info) != 0 || ::mkdirat(parent, name.c_str(), 0700) != 0)
    return Error::system("commit.copy", "making a directory");
  Fd made(::openat(parent, name.c_str(), kOpenDirectory));
  if (!made) return Error::system("commit.copy", "opening a directory");
  SAW_TRY(give(made, owner));
  const std::vector<os::Attribute> attributes = SAW_TRY(os::user_attributes(like));
  SAW_TRY(os::set_user_attributes(made.get(), attributes));
  if (::fchmod(made.get(), info.st_mode & kKeptModeBits) != 0)
    return Error::system("commit.copy", "making a directory");
  return {};
}

Result<> copy_link(int directory, const std::string& name, const std::string& target,
                   const std::optional<FileOwner>& owner) {
  if (::symlinkat(target.c_str(), directory, name.c_str()) != 0)
    return Error::system("commit.copy", "making a link");
  if (owner && ::fchownat(directory, name.c_str(), owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::system("commit.owner", "giving a link to uid {}", owner->uid);
  return {};
}

Result<CommitJournal> stage_commit(const CommitPlaces& places, const std::vector<ChangeRecord>& changes,
                                   const std::vector<bool>& withheld, const CommitWitness& witness) {
  Stage stage(places, witness);
  SAW_TRY(stage.open());
  CommitJournal journal{.session = places.session, .next = places.next.token};
  for (size_t i = 0; i < changes.size(); ++i)
    if (!withheld[i] && changes[i].after) journal.steps.push_back(SAW_TRY(stage.step_for(changes[i])));
  for (size_t i = changes.size(); i-- > 0;)  // what is in a directory before the directory
    if (!withheld[i] && !changes[i].after) journal.steps.push_back(SAW_TRY(stage.step_for(changes[i])));
  for (size_t i = 0; i < changes.size(); ++i)
    if (withheld[i])
      journal.steps.push_back({.action = CommitAction::carry,
                               .path = changes[i].path,
                               .layer = static_cast<uint32_t>(changes[i].layer),
                               .deletes = !changes[i].after});
  tell(witness, "sync");
  SAW_TRY(sync_file_system(places.work.get()));
  SAW_TRY(write_journal(places, journal, witness));
  return journal;
}

}  // namespace saw::sandbox
