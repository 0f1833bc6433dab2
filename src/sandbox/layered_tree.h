// A tree of layers as an overlay shows it, read without mounting one, and changed in its topmost layer in such
// a way that an overlay which is mounted later shows the change: whiteouts for what goes, opaque directories
// for what is new, copies of the directories on the way.
//
//   LayeredTree tree({.layers = layers, .mounter = Mounter::root, .scratch = stage, .owner = owner});
//   auto seen = SAW_TRY(tree.look("/a/b"));       // what lies there; nullopt: nothing
//   auto way = SAW_TRY(tree.make_way("/a/b"));    // its directory in the top layer, and its name there
//   SAW_TRY(tree.remove("/a/b"));
//
// Only the top layer is ever written to. With a single layer this is that plain directory, and nothing is
// marked. Each change is one rename, so that one that was interrupted has happened or has not; what is made on
// the way, and what is taken out, lies in `scratch` (on the same file system), which is the caller's to remove.
//
// Names are an agent's bytes: every step goes by directory descriptor and follows no link. The directories on
// the way to the last path stay open: paths in sorted order cost one openat a layer each. No overlay may have the top layer
// mounted for writing meanwhile, unless it is the only layer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "os/overlay_marks.h"
#include "sandbox/commit.h"
#include "sandbox/tree_files.h"

namespace saw::sandbox {

class LayeredTree {
 public:
  struct Options {
    std::span<const Fd> layers;  // top first; borrowed
    Mounter mounter = Mounter::root;
    int scratch = -1;
    std::optional<FileOwner> owner;  // of the directories that are made
  };
  static Result<LayeredTree> create(const Options& options);

  bool is_stacked() const { return layers_ > 1; }

  Result<std::optional<struct stat>> look(std::string_view path);
  // The topmost of the directories that are seen as one at `path`; nullopt: there is none.
  Result<std::optional<Fd>> directory(std::string_view path);
  // nullopt: a directory on the way is missing. The place is borrowed until the next call.
  Result<std::optional<TreeCursor::Place>> make_way(std::string_view path);

  // Puts scratch/<entry> at `path`, over a file or link that is seen there if there is one. A directory shows
  // nothing of the layers below it.
  Result<> put(const std::string& entry, std::string_view path);
  // Likewise, where either is a directory: what was there is scratch/<entry> afterwards, or nothing is.
  Result<> exchange(const std::string& entry, std::string_view path);
  // A directory that only frozen layers have gets a copy in the top layer, seen through like the others.
  Result<> copy_up(const std::string& entry, std::string_view path);
  // A file, a link, or an empty directory ("commit.moved" otherwise).
  Result<> remove(std::string_view path);

 private:
  struct Directory {
    Fd fd;
    size_t layer = 0;
  };
  struct Level {
    std::string name;
    std::vector<Directory> directories;  // that are seen as one, top first; never empty
  };
  struct Split {
    std::vector<std::string_view> parents;
    std::string name;
  };
  LayeredTree(const Options& options, Level top)
      : marks_(options.mounter == Mounter::root ? os::MarkNamespace::trusted : os::MarkNamespace::user),
        scratch_(options.scratch),
        owner_(options.owner),
        layers_(options.layers.size()),
        top_(std::move(top)) {}
  static Result<Split> split(std::string_view path);
  Result<const Level*> parent_of(const Split& path);
  Result<std::vector<Directory>> enter(const Level& level, const std::string& name) const;
  std::optional<struct stat> look_in(const Level& level, const std::string& name, size_t from) const;
  Result<> copy_way(int above, Level& level) const;
  Result<> seal(const std::string& entry) const;
  Result<> place(const std::string& entry, const TreeCursor::Place& where, unsigned flags) const;
  Result<bool> is_empty(const std::vector<Directory>& directories) const;
  Result<> take_out(const TreeCursor::Place& where, const struct stat& own) const;

  os::MarkNamespace marks_;
  int scratch_;
  std::optional<FileOwner> owner_;
  size_t layers_;
  Level top_;
  std::vector<Level> open_;
};

}  // namespace saw::sandbox
