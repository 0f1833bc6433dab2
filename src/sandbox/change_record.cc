#include "sandbox/change_record.h"

#include "audit/tree.h"

namespace saw::sandbox {
namespace {

constexpr std::string_view kVersion = "saw.change.v1";

class Canonical {
 public:
  template <class T> void number(T value) {
    for (size_t i = sizeof(T); i-- > 0;)
      out_.push_back(static_cast<char>((static_cast<uint64_t>(value) >> (8 * i)) & 0xff));
  }
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    out_ += value;
  }
  void state(const std::optional<FileState>& state) {
    number(static_cast<uint8_t>(state.has_value()));
    if (!state) return;
    number(static_cast<uint8_t>(state->type));
    number(state->mode);
    number(state->size);
    out_ += view(state->content);
    out_ += view(state->attributes);
  }
  std::string take() && { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace

std::string canonical_record(const ChangeRecord& record) {
  Canonical out;
  out.text(kVersion);
  out.text(record.path);
  out.number(static_cast<uint8_t>(record.kind));
  out.state(record.before);
  out.state(record.after);
  return std::move(out).take();
}

Digest merkle_root(std::span<const ChangeRecord> sorted) {
  audit::Tree tree;
  std::vector<audit::HashTile> completed;
  for (const ChangeRecord& record : sorted) {
    tree.add(audit::leaf_hash(canonical_record(record)), completed);
    completed.clear();
  }
  return tree.root();
}

}  // namespace saw::sandbox
