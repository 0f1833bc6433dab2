#include "sandbox/layered_tree.h"

#include <algorithm>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "sandbox/commit_journal.h"

namespace saw::sandbox {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

Error moved() {
  return {"commit.moved", "it was changed in the workspace while the commit ran", 0};
}

}  // namespace

Result<LayeredTree> LayeredTree::create(const Options& options) {
  Level top;
  for (size_t i = 0; i < options.layers.size(); ++i)
    top.directories.push_back({SAW_TRY(options.layers[i].duplicate()), i});
  SAW_CHECK(!top.directories.empty());
  return LayeredTree(options, std::move(top));
}

Result<LayeredTree::Split> LayeredTree::split(std::string_view path) {
  Split out{.parents = SAW_TRY(path_parts(path))};
  out.name = std::string(out.parents.back());
  out.parents.pop_back();
  return out;
}

// What the layers say of a name: the first that has it decides.
std::optional<struct stat> LayeredTree::look_in(const Level& level, const std::string& name,
                                                size_t from) const {
  for (const Directory& directory : level.directories) {
    if (directory.layer < from) continue;
    const auto info = look_at(directory.fd.get(), name);
    if (!info) continue;
    return os::is_whiteout(*info) ? std::nullopt : info;
  }
  return std::nullopt;
}

// Empty: no directory is seen there.
Result<std::vector<LayeredTree::Directory>> LayeredTree::enter(const Level& level,
                                                               const std::string& name) const {
  std::vector<Directory> out;
  for (const Directory& directory : level.directories) {
    const auto info = look_at(directory.fd.get(), name);
    if (!info) continue;
    if (!S_ISDIR(info->st_mode)) break;
    Fd fd(::openat(directory.fd.get(), name.c_str(), kOpenDirectory));
    if (!fd) return Error::system("commit.open", "opening the directory '{}'", printable(name));
    const bool opaque = layers_ > 1 && os::is_opaque(fd.get(), marks_);
    out.push_back({std::move(fd), directory.layer});
    if (opaque) break;
  }
  return out;
}

// nullptr: there is no such directory.
Result<const LayeredTree::Level*> LayeredTree::parent_of(const Split& path) {
  size_t common = 0;
  while (common < path.parents.size() && common < open_.size() && open_[common].name == path.parents[common])
    ++common;
  open_.erase(open_.begin() + static_cast<ptrdiff_t>(common), open_.end());
  for (; common < path.parents.size(); ++common) {
    Level next{.name = std::string(path.parents[common]), .directories = {}};
    next.directories = SAW_TRY(enter(open_.empty() ? top_ : open_.back(), next.name));
    if (next.directories.empty()) return nullptr;
    open_.push_back(std::move(next));
  }
  return open_.empty() ? &top_ : &open_.back();
}

Result<std::optional<struct stat>> LayeredTree::look(std::string_view path) {
  const Split where = SAW_TRY(split(path));
  const Level* parent = SAW_TRY(parent_of(where));
  if (!parent) return std::optional<struct stat>();
  return look_in(*parent, where.name, 0);
}

Result<std::optional<Fd>> LayeredTree::directory(std::string_view path) {
  const Split where = SAW_TRY(split(path));
  const Level* parent = SAW_TRY(parent_of(where));
  if (!parent) return std::optional<Fd>();
  std::vector<Directory> found = SAW_TRY(enter(*parent, where.name));
  if (found.empty()) return std::optional<Fd>();
  return std::optional(std::move(found.front().fd));
}

Result<> LayeredTree::copy_way(int above, Level& level) const {
  const std::string entry = random_id("way-");
  SAW_TRY(copy_directory(scratch_, entry, level.directories.front().fd.get(), owner_));
  SAW_TRY(place(entry, {above, level.name}, RENAME_NOREPLACE));
  Fd fd(::openat(above, level.name.c_str(), kOpenDirectory));
  if (!fd) return Error::system("commit.open", "opening the directory '{}'", printable(level.name));
  level.directories.insert(level.directories.begin(), {std::move(fd), 0});
  return {};
}

Result<std::optional<TreeCursor::Place>> LayeredTree::make_way(std::string_view path) {
  const Split where = SAW_TRY(split(path));
  if (!SAW_TRY(parent_of(where))) return std::optional<TreeCursor::Place>();
  int above = top_.directories.front().fd.get();
  for (Level& level : open_) {
    if (level.directories.front().layer != 0) SAW_TRY(copy_way(above, level));
    above = level.directories.front().fd.get();
  }
  return std::optional(TreeCursor::Place{above, where.name});
}

// ---- changing

Result<> LayeredTree::place(const std::string& entry, const TreeCursor::Place& where, unsigned flags) const {
  if (::renameat2(scratch_, entry.c_str(), where.directory, where.name.c_str(), flags) != 0)
    return Error::system("commit.apply", "putting it into its place");
  return {};
}

// What is new shows nothing of the layers below it.
Result<> LayeredTree::seal(const std::string& entry) const {
  const auto fresh = look_at(scratch_, entry);
  if (!fresh) return std::unexpected(moved());
  if (!S_ISDIR(fresh->st_mode) || !is_stacked()) return {};
  const Fd directory(::openat(scratch_, entry.c_str(), kOpenDirectory));
  if (!directory) return Error::system("commit.open", "opening a new directory");
  return os::make_opaque(directory.get(), marks_);
}

// The top layer may hold something else than what is seen: nothing, where a frozen layer shows it, or a
// whiteout.
Result<> LayeredTree::put(const std::string& entry, std::string_view path) {
  SAW_TRY(seal(entry));
  const auto where = SAW_TRY(make_way(path));
  if (!where) return std::unexpected(moved());
  const auto own = look_at(where->directory, where->name);
  if (!own) return place(entry, *where, RENAME_NOREPLACE);
  return place(entry, *where, os::is_whiteout(*own) ? RENAME_EXCHANGE : 0);
}

Result<> LayeredTree::exchange(const std::string& entry, std::string_view path) {
  SAW_TRY(seal(entry));
  const auto where = SAW_TRY(make_way(path));
  if (!where) return std::unexpected(moved());
  const bool own = look_at(where->directory, where->name).has_value();
  return place(entry, *where, own ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

Result<> LayeredTree::copy_up(const std::string& entry, std::string_view path) {
  const auto where = SAW_TRY(make_way(path));
  if (!where) return std::unexpected(moved());
  return place(entry, *where, RENAME_NOREPLACE);
}

Result<bool> LayeredTree::is_empty(const std::vector<Directory>& directories) const {
  for (size_t i = 0; i < directories.size(); ++i) {
    Fd again(::openat(directories[i].fd.get(), ".", kOpenDirectory));
    if (!again) return Error::system("commit.open", "listing a directory");
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(again.get()), ::closedir);
    if (!listing) return Error::system("commit.open", "listing a directory");
    static_cast<void>(again.release());
    while (const dirent* entry = ::readdir(listing.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      // Who says first what this name is, says it for good.
      size_t first = 0;
      std::optional<struct stat> info;
      while (!(info = look_at(directories[first].fd.get(), name)) && first < i) ++first;
      if (info && !os::is_whiteout(*info)) return false;
    }
  }
  return true;
}

// From the top layer, into the scratch directory: below a directory there may be whiteouts.
Result<> LayeredTree::take_out(const TreeCursor::Place& where, const struct stat& own) const {
  if (S_ISDIR(own.st_mode) && is_stacked()) {
    if (::renameat2(where.directory, where.name.c_str(), scratch_, random_id("old-").c_str(),
                    RENAME_NOREPLACE) != 0)
      return Error::system("commit.apply", "removing it");
    return {};
  }
  if (::unlinkat(where.directory, where.name.c_str(), S_ISDIR(own.st_mode) ? AT_REMOVEDIR : 0) != 0)
    return Error::system("commit.apply", "removing it");
  return {};
}

Result<> LayeredTree::remove(std::string_view path) {
  const Split parts = SAW_TRY(split(path));
  const Level* parent = SAW_TRY(parent_of(parts));
  const auto seen = parent ? look_in(*parent, parts.name, 0) : std::nullopt;
  if (!seen) return {};
  if (S_ISDIR(seen->st_mode) && is_stacked()) {
    const std::vector<Directory> directories = SAW_TRY(enter(*parent, parts.name));
    const bool empty = SAW_TRY(is_empty(directories));
    if (!empty) return std::unexpected(moved());
  }
  const bool shows_below = look_in(*parent, parts.name, 1).has_value();
  const auto where = SAW_TRY(make_way(path));
  if (!where) return std::unexpected(moved());
  const auto own = look_at(where->directory, where->name);
  if (!shows_below) return own ? take_out(*where, *own) : Result<>();
  const std::string whiteout = random_id("gone-");
  if (::mknodat(scratch_, whiteout.c_str(), S_IFCHR, makedev(0, 0)) != 0)
    return Error::system("commit.apply", "making the mark of a deletion");
  return place(whiteout, *where, own ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

}  // namespace saw::sandbox
