#include "sandbox/changes.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/overlay_marks.h"

namespace saw::sandbox {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

FileType type_of(mode_t mode) {
  if (S_ISREG(mode)) return FileType::file;
  if (S_ISDIR(mode)) return FileType::directory;
  return S_ISLNK(mode) ? FileType::symlink : FileType::other;
}

std::optional<struct stat> look_at(const Fd& directory, const std::string& name) {
  struct stat info{};
  if (!directory || ::fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  return info;
}

// One directory being compared. `names` is what is left to look at.
struct Level {
  Fd upper, lower;   // lower: empty where the upper directory has no counterpart
  std::string path;  // "" for the top
  std::vector<std::string> names;
};

class Walk {
 public:
  explicit Walk(Mounter mounter)
      : marks_(mounter == Mounter::root ? os::MarkNamespace::trusted : os::MarkNamespace::user) {}

  Result<ChangeList> run(Fd upper, Fd lower) {
    SAW_TRY(enter(std::move(upper), std::move(lower), ""));
    while (!levels_.empty() && out_.complete) {
      if (levels_.back().names.empty()) {
        levels_.pop_back();
        continue;
      }
      const std::string name = std::move(levels_.back().names.back());
      levels_.back().names.pop_back();
      compare(name);
    }
    std::ranges::sort(out_.changes, {}, &Change::path);
    return std::move(out_);
  }

 private:
  void stop() { out_.complete = false; }

  void report(ChangeKind kind, const struct stat& info, const std::string& path) {
    path_bytes_ += path.size();
    if (out_.changes.size() >= kMaxChanges || path_bytes_ > kMaxPathBytes) return stop();
    const FileType type = type_of(info.st_mode);
    const uint64_t size =
        type == FileType::file && kind != ChangeKind::deleted ? static_cast<uint64_t>(info.st_size) : 0;
    out_.changes.push_back({.kind = kind, .type = type, .path = path, .size = size});
  }

  Result<std::vector<std::string>> names_of(const Fd& directory) {
    std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(::openat(directory.get(), ".", kOpenDirectory)),
                                                ::closedir);
    if (!listing) return Error::system("changes.list", "listing a directory of the session");
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(listing.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++visited_ > kMaxVisited) {
        stop();
        break;
      }
      names.emplace_back(name);
    }
    return names;
  }

  Result<> enter(Fd upper, Fd lower, std::string path) {
    if (levels_.size() >= kMaxDepth) {
      stop();
      return {};
    }
    Level level{.upper = std::move(upper), .lower = std::move(lower), .path = std::move(path)};
    level.names = SAW_TRY(names_of(level.upper));
    if (level.lower && os::is_opaque(level.upper.get(), marks_)) {
      std::vector<std::string> below = SAW_TRY(names_of(level.lower));
      std::set<std::string> replaced(level.names.begin(), level.names.end());
      for (std::string& name : below)
        if (!replaced.contains(name)) report_deleted(level, name);
    }
    levels_.push_back(std::move(level));
    return {};
  }

  void report_deleted(const Level& level, const std::string& name) {
    if (auto info = look_at(level.lower, name)) report(ChangeKind::deleted, *info, level.path + "/" + name);
  }

  void compare(const std::string& name) {
    const Level& level = levels_.back();
    const auto above = look_at(level.upper, name);
    if (!above) return;  // removed while we look: the session may be running
    const std::string path = level.path + "/" + name;
    if (os::is_whiteout(*above)) return report_deleted(level, name);
    const auto below = look_at(level.lower, name);
    const bool directory = S_ISDIR(above->st_mode), same_kind = below && S_ISDIR(below->st_mode) == directory;
    if (!below) {
      report(ChangeKind::added, *above, path);
    } else if (!directory || !same_kind || below->st_mode != above->st_mode) {
      report(ChangeKind::changed, *above, path);
    }
    if (directory) descend(name, path, same_kind ? Counterpart::present : Counterpart::absent);
  }

  enum class Counterpart { present, absent };
  void descend(const std::string& name, const std::string& path, Counterpart counterpart) {
    const Level& level = levels_.back();
    Fd upper(::openat(level.upper.get(), name.c_str(), kOpenDirectory));
    if (!upper) return stop();
    Fd lower;
    if (counterpart == Counterpart::present)
      lower = Fd(::openat(level.lower.get(), name.c_str(), kOpenDirectory));
    if (!enter(std::move(upper), std::move(lower), path)) stop();
  }

  os::MarkNamespace marks_;
  std::vector<Level> levels_;
  ChangeList out_;
  size_t visited_ = 0, path_bytes_ = 0;
};

}  // namespace

Result<ChangeList> list_changes(Fd upper, Fd lower, Mounter mounter) {
  return Walk(mounter).run(std::move(upper), std::move(lower));
}

}  // namespace saw::sandbox
