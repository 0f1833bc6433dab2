#include <algorithm>
#include <cstring>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "os/overlay_marks.h"
#include "os/xattr.h"
#include "sandbox/commit_journal.h"
#include "sandbox/layered_tree.h"
#include "sandbox/session_reference.h"

namespace saw::sandbox {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

// Of this host, not of the path: the session keeps its layer, and the commit is finished when there is room again.
bool may_pass(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO || error == ENOMEM ||
         error == EMFILE || error == ENFILE || error == EROFS;
}

// Each step may have been done already, by this function before a crash: it finds out, and a second time
// changes nothing. An Error is of one step only: its path stays with the session.
class Apply {
 public:
  static Result<Apply> open(const CommitPlaces& places, const CommitWitness& witness) {
    Fd stage(::openat(places.work.get(), kStageName, kOpenDirectory));
    if (!stage) return Error::system("commit.apply", "opening what was staged");
    LayeredTree base = SAW_TRY(LayeredTree::create({.layers = places.sources.below,
                                                    .mounter = places.sources.mounter,
                                                    .scratch = stage.get(),
                                                    .owner = places.owner}));
    Apply apply(places, witness, std::move(stage), std::move(base));
    SAW_TRY(apply.renew_upper());
    return apply;
  }

  Result<std::vector<std::string>> run(const std::vector<CommitStep>& steps) {
    std::vector<const CommitStep*> left;
    for (const CommitStep& step : steps)
      if (step.deletes && step.action != CommitAction::carry) removals_.emplace(step.path, &step);
    for (const CommitStep& step : steps) {
      if (step.action == CommitAction::carry) continue;
      if (auto done = apply(step); !done) {
        log_warning("commit of session '{}': '{}' stays with the session: {}", places_.session,
                    printable(step.path), done.error().message);
        left.push_back(&step);
      }
    }
    std::vector<std::string> failed;
    failed.reserve(left.size());
    for (const CommitStep* step : left) failed.push_back(step->path);
    for (const CommitStep& step : steps)
      if (step.action == CommitAction::carry) left.push_back(&step);
    std::ranges::sort(left, {}, [](const CommitStep* step) -> const std::string& { return step->path; });
    for (const CommitStep* step : left) {
      auto carried = carry(*step);
      if (carried) continue;
      if (may_pass(carried.error().os_errno)) return std::unexpected(std::move(carried).error());
      log_error("commit of session '{}': '{}' is lost to the session: {}", places_.session,
                printable(step->path), carried.error().message);
    }
    std::ranges::sort(failed);
    for (const CommitStep& step : steps)
      if (step.linked && !std::ranges::binary_search(failed, step.path)) drop_old_name(step);
    return failed;
  }

 private:
  Apply(const CommitPlaces& places, const CommitWitness& witness, Fd stage, LayeredTree base)
      : places_(places), witness_(witness), base_(std::move(base)), stage_(std::move(stage)) {
    for (const Fd& layer : places.sources.layers) layers_.emplace_back(layer.get());
  }

  // What a crash left half carried is put aside, and carried again.
  Result<> renew_upper() {
    const int next = places_.next.directory.get();
    const char* layer = places_.next.layer.c_str();
    const std::string aside = random_id("old-");
    if (::renameat(next, layer, places_.work.get(), aside.c_str()) != 0 && errno != ENOENT)
      return Error::system("commit.carry", "putting aside a layer");
    if (::mkdirat(next, layer, 0755) != 0) return Error::system("commit.carry", "making a layer");
    upper_ = Fd(::openat(next, layer, kOpenDirectory));
    if (!upper_) return Error::system("commit.carry", "opening a layer");
    if (places_.owner && ::fchown(upper_.get(), places_.owner->uid, places_.owner->gid) != 0)
      return Error::system("commit.owner", "giving a layer to uid {}", places_.owner->uid);
    return {};
  }

  Result<> apply(const CommitStep& step) {
    tell(witness_, "apply");
    switch (step.action) {
      case CommitAction::place:
      case CommitAction::replace:
      case CommitAction::exchange:
        return place(step);
      case CommitAction::attributes:
        return set_attributes(step);
      case CommitAction::remove:
      case CommitAction::remove_directory:
        return remove(step);
      case CommitAction::carry:
        break;
    }
    return {};
  }

  static Error moved() { return {"commit.moved", "it was changed in the workspace while the commit ran", 0}; }

  bool is_staged(const CommitStep& step, const std::string& entry) const {
    const auto staged = look_at(stage_.get(), entry);
    return staged && staged->st_ino == step.inode;
  }

  // What the stage holds is made fit for the workspace: it may be the session's own inode.
  Result<> prepare(const CommitStep& step, const std::string& entry) {
    const auto info = look_at(stage_.get(), entry);
    if (!info || !S_ISREG(info->st_mode)) return {};
    const Fd file = SAW_TRY(open_regular(stage_.get(), entry));
    SAW_TRY(os::drop_unseen_attributes(file.get()));
    if (places_.owner && (info->st_uid != places_.owner->uid || info->st_gid != places_.owner->gid) &&
        ::fchown(file.get(), places_.owner->uid, places_.owner->gid) != 0)
      return Error::system("commit.owner", "giving a file to uid {}", places_.owner->uid);
    if (::fchmod(file.get(), step.mode) != 0) return Error::system("commit.apply", "setting a mode");
    return {};
  }

  Result<> place(const CommitStep& step) {
    const std::string entry = std::to_string(step.entry);
    if (!is_staged(step, entry)) return {};
    SAW_TRY(prepare(step, entry));
    if (step.action == CommitAction::exchange) SAW_TRY(require_untouched_below(step.path));
    const auto there = SAW_TRY(base_.look(step.path));
    const bool untouched =
        step.action == CommitAction::place
            ? !there
            : there && (step.below_changed == 0 || changed_at(*there) == step.below_changed);
    if (!untouched) return std::unexpected(moved());
    tell(witness_, "rename");
    return step.action == CommitAction::exchange ? base_.exchange(entry, step.path)
                                                 : base_.put(entry, step.path);
  }

  // A directory gives way with all that is in it, so that each entry is looked at, as if it were removed by
  // itself. What was added shows in the ctime of its directory.
  Result<> require_untouched_below(const std::string& path) {
    for (auto it = removals_.lower_bound(path + "/");
         it != removals_.end() && it->first.starts_with(path + "/"); ++it) {
      const auto there = SAW_TRY(base_.look(it->first));
      const Nanos listed = it->second->below_changed;
      if (!there || (listed != 0 && changed_at(*there) != listed)) return std::unexpected(moved());
    }
    return {};
  }

  Result<> set_attributes(const CommitStep& step) {
    const Fd like(::openat(stage_.get(), std::to_string(step.entry).c_str(), kOpenDirectory));
    const auto directory = SAW_TRY(base_.directory(step.path));
    struct stat info{};
    if (!like || !directory || ::fstat(directory->get(), &info) != 0) return std::unexpected(moved());
    const std::vector<os::Attribute> wanted = SAW_TRY(os::user_attributes(like.get())),
                                     present = SAW_TRY(os::user_attributes(directory->get()));
    const auto same = [](const os::Attribute& a, const os::Attribute& b) {
      return a.name == b.name && a.value == b.value;
    };
    if ((info.st_mode & 07777) == step.mode && std::ranges::equal(wanted, present, same)) return {};
    if (changed_at(info) != step.below_changed) return std::unexpected(moved());
    const auto where = SAW_TRY(base_.make_way(step.path));
    if (!where) return std::unexpected(moved());
    if (!look_at(where->directory, where->name)) return copy_up_with_attributes(step, like);
    SAW_TRY(os::set_user_attributes(directory->get(), wanted));
    if (::fchmod(directory->get(), step.mode) != 0) return Error::system("commit.apply", "setting a mode");
    return {};
  }

  // A directory of a frozen layer: its copy has them from the start.
  Result<> copy_up_with_attributes(const CommitStep& step, const Fd& like) {
    const std::string entry = random_id("up-");
    SAW_TRY(copy_directory(stage_.get(), entry, like.get(), places_.owner));
    if (::fchmodat(stage_.get(), entry.c_str(), step.mode, 0) != 0)
      return Error::system("commit.apply", "setting a mode");
    return base_.copy_up(entry, step.path);
  }

  Result<> remove(const CommitStep& step) {
    const auto there = SAW_TRY(base_.look(step.path));
    if (!there) return {};
    const bool directory = step.action == CommitAction::remove_directory;
    if (S_ISDIR(there->st_mode) != directory) return std::unexpected(moved());
    if (!directory && step.below_changed != 0 && changed_at(*there) != step.below_changed)
      return std::unexpected(moved());
    tell(witness_, "unlink");
    return base_.remove(step.path);
  }

  // The name that a placed file has in the session's old layer: were it removed later, with that layer, the
  // file's ctime would look like a change of the workspace's.
  void drop_old_name(const CommitStep& step) {
    tell(witness_, "drop");
    const auto where = layers_.front().find(step.path);
    if (!where || !*where || !look_at((*where)->directory, (*where)->name)) return;
    if (::unlinkat((*where)->directory, (*where)->name.c_str(), 0) != 0)
      log_warning("commit of session '{}': '{}' may look like a conflict: {}", places_.session,
                  printable(step.path), std::strerror(errno));
  }

  // ---- what stays with the session

  // Into the session's next layer, with its directories.
  Result<> carry(const CommitStep& step) {
    tell(witness_, "carry");
    TreeCursor upper(upper_.get());
    for (size_t end = step.path.find('/', 1); end != step.path.npos; end = step.path.find('/', end + 1))
      if (!SAW_TRY(carry_parent(step.path.substr(0, end), step.layer))) return {};
    const auto to = SAW_TRY(upper.find(step.path));
    if (!to || look_at(to->directory, to->name)) return {};
    if (step.deletes) {
      if (::mknodat(to->directory, to->name.c_str(), S_IFCHR, makedev(0, 0)) != 0)
        return Error::system("commit.carry", "keeping a deletion");
      return {};
    }
    const auto from = SAW_TRY(layers_.at(step.layer).find(step.path));
    const auto info = from ? look_at(from->directory, from->name) : std::nullopt;
    if (!info) return Error::make("commit.carry", "the session no longer has it");
    return carry_entry(*from, *info, *to);
  }

  Result<> carry_entry(const TreeCursor::Place& from, const struct stat& info, const TreeCursor::Place& to) {
    if (S_ISDIR(info.st_mode)) {
      const Fd like(::openat(from.directory, from.name.c_str(), kOpenDirectory));
      if (!like) return Error::system("commit.carry", "opening a directory");
      return copy_directory(to.directory, to.name, like.get(), places_.owner);
    }
    if (S_ISLNK(info.st_mode)) {
      Budget none;
      const FileState link = SAW_TRY(state_of(from.directory, from.name, info, none));
      return copy_link(to.directory, to.name, link.target, places_.owner);
    }
    if (!S_ISREG(info.st_mode)) return Error::make("commit.carry", "a special file");
    // A copy: the inode may have another name, which the workspace has now.
    const Fd source = SAW_TRY(open_regular(from.directory, from.name));
    return copy_file(to.directory, to.name, source, places_.owner);
  }

  // A directory on the way, as the workspace has it, or else the session. false: the way is blocked by
  // something that was carried, and hides what lies below anyway.
  Result<bool> carry_parent(const std::string& path, uint32_t layer) {
    TreeCursor upper(upper_.get());
    const auto to = SAW_TRY(upper.find(path));
    if (!to) return false;
    if (const auto there = look_at(to->directory, to->name)) return S_ISDIR(there->st_mode);
    auto like = SAW_TRY(base_.directory(path));
    if (!like)
      if (const auto from = SAW_TRY(layers_.at(layer).find(path)))
        like.emplace(::openat(from->directory, from->name.c_str(), kOpenDirectory));
    if (!like || !*like) return Error::make("commit.carry", "its directory '{}' is gone", printable(path));
    SAW_TRY(copy_directory(to->directory, to->name, like->get(), places_.owner));
    return true;
  }

  const CommitPlaces& places_;
  const CommitWitness& witness_;
  LayeredTree base_;
  std::vector<TreeCursor> layers_;
  Fd stage_, upper_;
  std::map<std::string_view, const CommitStep*, std::less<>> removals_;  // by path
};

}  // namespace

Result<std::vector<std::string>> apply_commit(const CommitPlaces& places, const CommitJournal& journal,
                                              const CommitWitness& witness) {
  if (SAW_TRY(places.next.was_taken())) return std::vector<std::string>();  // all done before
  Apply apply = SAW_TRY(Apply::open(places, witness));
  std::vector<std::string> failed = SAW_TRY(apply.run(journal.steps), "keeping what stays with the session");
  SAW_TRY(make_later_reference(places.next.directory.get()));
  tell(witness, "sync applied");
  SAW_TRY(sync_file_system(places.work.get()));
  tell(witness, "take over");
  SAW_TRY(places.next.take_over(), "giving the session its next layer");
  tell(witness, "exchanged");
  return failed;
}

}  // namespace saw::sandbox
