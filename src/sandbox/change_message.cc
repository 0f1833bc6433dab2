#include "sandbox/change_message.h"

#include <algorithm>

#include "base/path.h"
#include "sandbox/line_diff.h"

namespace saw::sandbox {
namespace {

std::optional<FileSide> side(const std::optional<FileState>& state) {
  if (!state) return std::nullopt;
  return FileSide{state->type, state->mode, state->size, state->target};
}

}  // namespace

Change to_message(const ChangeRecord& record) {
  Change out{.kind = record.kind,
             .path = record.path,
             .before = side(record.before),
             .after = side(record.after),
             .renamed_from = record.renamed_from};
  if (record.before && record.after && record.before->type == record.after->type) {
    out.content = record.before->content != record.after->content;
    out.attributes = record.before->attributes != record.after->attributes;
  }
  return out;
}

Committed to_message(const CommitOutcome& outcome) {
  const auto first = [](const std::vector<std::string>& all) {
    return std::vector<std::string>(
        all.begin(), all.begin() + static_cast<ptrdiff_t>(std::min(all.size(), kMaxNamedPaths)));
  };
  return {.root = outcome.root,
          .applied = outcome.applied,
          .conflicting = outcome.conflicts.size(),
          .held_back = outcome.withheld.size(),
          .left = outcome.failed.size(),
          .conflicts = first(outcome.conflicts),
          .withheld = first(outcome.withheld),
          .failed = first(outcome.failed)};
}

namespace {

// The bytes of a text file on one side of a change; empty where there is none. nullopt: it has no lines.
std::optional<std::string> text_at(TreeCursor& tree, const std::string& path,
                                   const std::optional<FileState>& state) {
  if (!state || state->type != FileType::file) return std::string();
  if (state->size > kMaxText) return std::nullopt;
  const auto place = tree.find(path);
  if (!place || !*place) return std::nullopt;
  const auto file = open_regular((*place)->directory, (*place)->name);
  if (!file) return std::nullopt;
  auto bytes = read_all(*file, kMaxText);
  if (!bytes || !is_text(*bytes)) return std::nullopt;
  return std::move(*bytes);
}

class LineAdder {
 public:
  explicit LineAdder(const ChangeSources& sources) : base_(sources.base.get()) {
    for (const Fd& layer : sources.layers) layers_.emplace_back(layer.get());
  }
  void add(const ChangeRecord& record, Change& out) {
    const auto is_file = [](const std::optional<FileState>& state) {
      return state && state->type == FileType::file;
    };
    if (!is_file(record.before) && !is_file(record.after)) return;
    if (record.before && record.after && record.before->content == record.after->content) return;
    const auto before = text_at(base_, record.path, record.before),
               after = text_at(layers_.at(record.layer), record.path, record.after);
    auto lines = before && after ? unified_diff(*before, *after) : std::nullopt;
    if (!lines || bytes_ + lines->size() > kMaxLineBytes) return void(out.binary = true);
    bytes_ += lines->size();
    out.lines = std::move(*lines);
  }

 private:
  TreeCursor base_;
  std::vector<TreeCursor> layers_;
  size_t bytes_ = 0;
};

}  // namespace

Result<Changes> answer_of(const ChangeSources& sources, const ListChanges& request) {
  const ChangeList list = SAW_TRY(list_changes(sources));
  Changes answer{.complete = list.complete, .limit = list.limit};
  if (list.root) answer.root = digest_text(*list.root);
  LineAdder lines(sources);
  for (const ChangeRecord& record : list.changes) {
    const auto wanted = [&](const std::string& path) { return is_within(record.path, path); };
    if (!request.paths.empty() && std::ranges::none_of(request.paths, wanted)) continue;
    answer.changes.push_back(to_message(record));
    if (request.detail == DiffDetail::lines) lines.add(record, answer.changes.back());
  }
  return answer;
}

}  // namespace saw::sandbox
