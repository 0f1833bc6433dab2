#include "sandbox/changes.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/overlay_marks.h"

namespace saw::sandbox {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

// Whether the entries of a directory below show through the layers above it.
enum class Below : uint8_t { shows, hidden };

// One directory being compared: the layers that have it, top first, and its counterpart below. `names` is
// what is left to look at.
struct Level {
  struct Layer {
    Fd directory;
    size_t index = 0;  // among the sources' layers
  };
  std::vector<Layer> layers;
  Fd base;                // empty: nothing below
  std::vector<Fd> parts;  // what `base` is made of: directories of the layers below, top first
  Below below = Below::shows;
  std::string path;  // "" for the top
  Nanos base_changed = 0;
  bool moved = false;  // it, or a directory above, is not the one that the layer was copied from
  std::vector<std::string> names;
};

// What the layers say of a name.
struct Found {
  struct stat info{};
  size_t position = 0;  // in Level::layers
};

class Walk {
 public:
  explicit Walk(Mounter mounter)
      : marks_(mounter == Mounter::root ? os::MarkNamespace::trusted : os::MarkNamespace::user) {}

  Result<ChangeList> run(const ChangeSources& sources) {
    Level top{.path = ""};
    for (size_t i = 0; i < sources.layers.size(); ++i)
      top.layers.push_back({SAW_TRY(sources.layers[i].duplicate()), i});
    top.base = SAW_TRY(sources.base.duplicate());
    for (const Fd& layer : sources.below) top.parts.push_back(SAW_TRY(layer.duplicate()));
    SAW_TRY(enter(std::move(top)));
    while (!levels_.empty() && !stopped_) {
      if (levels_.back().names.empty()) {
        levels_.pop_back();
        continue;
      }
      const std::string name = std::move(levels_.back().names.back());
      levels_.back().names.pop_back();
      SAW_TRY(compare(name));
    }
    std::ranges::sort(out_.changes, {}, &ChangeRecord::path);
    pair_renames();
    if (out_.complete) out_.root = merkle_root(out_.changes);
    return std::move(out_);
  }

 private:
  void stop(std::string limit) {
    stopped_ = true;
    out_.complete = false;
    out_.limit = std::move(limit);
  }
  // One path could not be read; the others can.
  void leave_out(const Error& error) {
    if (error.code != "changes.moved") return stop(error.message);
    out_.complete = false;
    out_.limit = error.message;
  }

  Result<> read_names(int directory, std::set<std::string>& names) {
    std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(::openat(directory, ".", kOpenDirectory)),
                                                ::closedir);
    if (!listing) return Error::system("changes.list", "listing a directory of the session");
    while (const dirent* entry = ::readdir(listing.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++visited_ > kMaxVisited) {
        stop(fmt::format("more than {} files to look at", kMaxVisited));
        return {};
      }
      names.emplace(name);
    }
    return {};
  }

  Result<> enter(Level level) {
    if (levels_.size() >= kMaxDepth) {
      stop(fmt::format("directories nested more than {} deep", kMaxDepth));
      return {};
    }
    std::set<std::string> names;
    for (const Level::Layer& layer : level.layers) SAW_TRY(read_names(layer.directory.get(), names));
    if (level.base && level.below == Below::hidden) SAW_TRY(read_names(level.base.get(), names));
    if (struct stat info{}; level.base && ::fstat(level.base.get(), &info) == 0)
      level.base_changed = changed_at(info);
    level.names.assign(names.begin(), names.end());
    levels_.push_back(std::move(level));
    return {};
  }

  // nullopt: the layers have no such entry, or delete it.
  std::optional<Found> find_above(const Level& level, const std::string& name) const {
    for (size_t i = 0; i < level.layers.size(); ++i) {
      const auto info = look_at(level.layers[i].directory.get(), name);
      if (!info) continue;
      if (os::is_whiteout(*info)) return std::nullopt;
      return Found{*info, i};
    }
    return std::nullopt;
  }

  Result<> compare(const std::string& name) {
    const Level& level = levels_.back();
    const auto above = find_above(level, name);
    const auto below = look_at(level.base.get(), name);
    if (!above && !below) return {};  // made and removed again, or gone while we look
    ChangeRecord record{.path = level.path + "/" + name,
                        .layer = above ? level.layers[above->position].index : 0,
                        .below_changed = below ? changed_at(*below) : 0,
                        .directory_changed = level.base_changed,
                        .below_linked = below && S_ISREG(below->st_mode) && below->st_nlink > 1,
                        .moved_below = level.moved};
    const bool made = fill(record, name, above, below);
    if (!made) return {};
    const bool directory_above = above && S_ISDIR(above->info.st_mode),
               directory_below = below && S_ISDIR(below->st_mode);
    if (record.before != record.after || below.has_value() != above.has_value()) {
      record.kind = !below ? ChangeKind::added : !above ? ChangeKind::deleted : ChangeKind::changed;
      report(std::move(record));
    }
    if (stopped_ || (!directory_above && !directory_below)) return {};
    return descend(name, directory_above ? above : std::nullopt, directory_below);
  }

  // Both states of the record. false: one could not be read, and the list is no longer complete.
  bool fill(ChangeRecord& record, const std::string& name, const std::optional<Found>& above,
            const std::optional<struct stat>& below) {
    const Level& level = levels_.back();
    const auto read = [&](int directory, const struct stat& info, std::optional<FileState>& into) {
      auto state = state_of(directory, name, info, budget_);
      if (state) return into = std::move(*state), true;
      leave_out(state.error());
      return false;
    };
    if (below && !read(level.base.get(), *below, record.before)) return false;
    if (!above) return true;
    const int directory = level.layers[above->position].directory.get();
    if (!read(directory, above->info, record.after)) return false;
    if (S_ISREG(above->info.st_mode)) {
      const Fd fd(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
      record.copied_up = fd && os::origin_of(fd.get(), -1, marks_) == os::Origin::another;
    }
    return true;
  }

  void report(ChangeRecord record) {
    path_bytes_ += record.path.size();
    for (const auto* state : {&record.before, &record.after})
      if (*state) path_bytes_ += (*state)->target.size();
    if (out_.changes.size() >= kMaxChanges) return stop(fmt::format("more than {} changes", kMaxChanges));
    if (path_bytes_ > kMaxPathBytes) return stop(fmt::format("more than {} bytes of names", kMaxPathBytes));
    out_.changes.push_back(std::move(record));
  }

  // Into the directory `name`, as far as the layers have it (`above`) and as far as it lies below.
  Result<> descend(const std::string& name, const std::optional<Found>& above, bool directory_below) {
    const Level& level = levels_.back();
    Level next{.below = level.below, .path = level.path + "/" + name, .moved = level.moved};
    if (!above) next.below = Below::hidden;
    for (size_t i = above ? above->position : level.layers.size(); i < level.layers.size(); ++i) {
      const auto info = look_at(level.layers[i].directory.get(), name);
      if (!info) continue;
      if (!S_ISDIR(info->st_mode)) {
        next.below = Below::hidden;
        break;
      }
      Fd fd(::openat(level.layers[i].directory.get(), name.c_str(), kOpenDirectory));
      if (!fd) return Error::system("changes.open", "opening a directory of the session");
      const bool opaque = os::is_opaque(fd.get(), marks_);
      next.layers.push_back({std::move(fd), level.layers[i].index});
      if (opaque) {
        next.below = Below::hidden;
        break;
      }
    }
    if (directory_below) {
      next.base = Fd(::openat(level.base.get(), name.c_str(), kOpenDirectory));
      if (!next.base) return Error::system("changes.open", "opening a directory of the workspace");
      next.parts = SAW_TRY(enter_below(level, name));
    }
    if (!next.layers.empty() && is_moved(next)) next.moved = true;
    return enter(std::move(next));
  }

  // The directories that are seen as `name` below.
  Result<std::vector<Fd>> enter_below(const Level& level, const std::string& name) const {
    std::vector<Fd> out;
    for (const Fd& layer : level.parts) {
      const auto info = look_at(layer.get(), name);
      if (!info) continue;
      if (!S_ISDIR(info->st_mode)) break;
      Fd fd(::openat(layer.get(), name.c_str(), kOpenDirectory));
      if (!fd) return Error::system("changes.open", "opening a directory of the workspace");
      const bool opaque = os::is_opaque(fd.get(), marks_);
      out.push_back(std::move(fd));
      if (opaque) break;
    }
    return out;
  }

  // A directory that was copied up stays where it is (renaming one is refused with EXDEV), so that its origin
  // is what the session saw at this path: the directory of one of the layers below, which others may have
  // joined since.
  bool is_moved(const Level& level) const {
    const int copied = level.layers.back().directory.get();
    if (os::origin_of(copied, -1, marks_) == os::Origin::none) return false;
    return std::ranges::none_of(level.parts, [&](const Fd& below) {
      return os::origin_of(copied, below.get(), marks_) != os::Origin::another;
    });
  }

  void pair_renames() {
    std::map<std::pair<Digest, uint64_t>, std::vector<const ChangeRecord*>> deleted;
    for (const ChangeRecord& record : out_.changes)
      if (record.kind == ChangeKind::deleted && record.before->type == FileType::file &&
          record.before->size > 0)
        deleted[{record.before->content, record.before->size}].push_back(&record);
    for (ChangeRecord& record : out_.changes) {
      if (record.kind != ChangeKind::added || record.after->type != FileType::file) continue;
      auto found = deleted.find({record.after->content, record.after->size});
      if (found == deleted.end() || found->second.empty()) continue;
      record.renamed_from = found->second.front()->path;
      found->second.erase(found->second.begin());
    }
  }

  os::MarkNamespace marks_;
  Budget budget_{kMaxHashedBytes};
  std::vector<Level> levels_;
  ChangeList out_;
  bool stopped_ = false;
  size_t visited_ = 0, path_bytes_ = 0;
};

}  // namespace

Result<ChangeList> list_changes(const ChangeSources& sources) {
  return Walk(sources.mounter).run(sources);
}

}  // namespace saw::sandbox
