#include "sandbox/change_message.h"

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

}  // namespace saw::sandbox
