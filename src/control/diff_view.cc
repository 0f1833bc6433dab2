#include "control/diff_view.h"

#include "base/bytes.h"

namespace saw::control {
namespace {

constexpr size_t kMaxShownPath = 8192;

std::string_view name(sandbox::ChangeKind kind) {
  static constexpr std::string_view kKinds[] = {"added", "changed", "deleted"};
  return kKinds[static_cast<size_t>(kind)];
}
std::string_view name(sandbox::FileType type) {
  static constexpr std::string_view kTypes[] = {"file", "directory", "symlink", "other"};
  return kTypes[static_cast<size_t>(type)];
}

std::optional<FileSideView> side(const std::optional<sandbox::FileSide>& from) {
  if (!from) return std::nullopt;
  return FileSideView{.type = std::string(name(from->type)),
                      .mode = fmt::format("{:04o}", from->mode),
                      .target = printable(from->target, kMaxShownPath),
                      .size = from->size};
}

}  // namespace

DiffView to_view(const sandbox::Changes& changes) {
  DiffView view{.complete = changes.complete, .limit = changes.limit, .root = changes.root};
  for (const sandbox::Change& c : changes.changes)
    view.changes.push_back({.kind = std::string(name(c.kind)),
                            .path = printable(c.path, kMaxShownPath),
                            .renamed_from = printable(c.renamed_from, kMaxShownPath),
                            .lines = c.lines,
                            .before = side(c.before),
                            .after = side(c.after),
                            .content = c.content,
                            .attributes = c.attributes,
                            .binary = c.binary});
  return view;
}

}  // namespace saw::control
