#include "policy/yaml.h"

#include <memory>
#include <unordered_set>

#include <fmt/format.h>
#include <yaml.h>

#include "base/result.h"

namespace saw::policy::yaml {
namespace {

struct Failed {
  Diagnostic diagnostic;
};
template <class T> using Parsed = std::expected<T, Failed>;

class Builder {
 public:
  Builder(std::string_view text, std::string_view file) : file_(file) {
    SAW_CHECK(yaml_parser_initialize(&parser_) == 1);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  ~Builder() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }

  Parsed<Node> document();

 private:
  std::unexpected<Failed> fail(std::string_view code, std::string message, yaml_mark_t mark) const {
    return std::unexpected(Failed{{.file = file_,
                                   .line = static_cast<int>(mark.line) + 1,
                                   .column = static_cast<int>(mark.column) + 1,
                                   .code = std::string(code),
                                   .message = std::move(message)}});
  }
  Parsed<yaml_event_type_t> next();
  Parsed<Node> node(int depth);
  Parsed<Node> start(int depth);
  Parsed<Node> scalar();
  Parsed<Node> sequence(int depth);
  Parsed<Node> mapping(int depth);

  std::string file_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  size_t nodes_ = 0;
};

Parsed<yaml_event_type_t> Builder::next() {
  yaml_event_delete(&event_);
  if (yaml_parser_parse(&parser_, &event_) == 1) return event_.type;
  event_ = {};
  // A reader error (bad encoding) comes without a mark.
  const yaml_mark_t mark = parser_.error == YAML_READER_ERROR ? parser_.mark : parser_.problem_mark;
  return fail("policy.syntax", parser_.problem != nullptr ? parser_.problem : "not YAML", mark);
}

Parsed<Node> Builder::document() {
  for (yaml_event_type_t expected : {YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT}) {
    auto type = next();
    if (!type) return std::unexpected(type.error());
    if (*type != expected) return fail("policy.syntax", "the document is empty", event_.start_mark);
  }
  if (event_.data.document_start.version_directive != nullptr ||
      event_.data.document_start.tag_directives.start != event_.data.document_start.tag_directives.end)
    return fail("policy.syntax", "YAML directives are not allowed", event_.start_mark);
  auto root = node(0);
  if (!root) return root;
  for (yaml_event_type_t expected : {YAML_DOCUMENT_END_EVENT, YAML_STREAM_END_EVENT}) {
    auto type = next();
    if (!type) return std::unexpected(type.error());
    if (*type != expected) return fail("policy.syntax", "more than one document", event_.start_mark);
  }
  return root;
}

// Takes the next event and what belongs to it.
Parsed<Node> Builder::node(int depth) {
  auto type = next();
  if (!type) return std::unexpected(type.error());
  return start(depth);
}

Parsed<Node> Builder::start(int depth) {
  if (depth > kMaxDepth)
    return fail("policy.syntax", fmt::format("nested deeper than {}", kMaxDepth), event_.start_mark);
  if (++nodes_ > kMaxNodes)
    return fail("policy.syntax", fmt::format("more than {} nodes", kMaxNodes), event_.start_mark);
  switch (event_.type) {
    case YAML_SCALAR_EVENT:
      return scalar();
    case YAML_SEQUENCE_START_EVENT:
      return sequence(depth);
    case YAML_MAPPING_START_EVENT:
      return mapping(depth);
    case YAML_ALIAS_EVENT:
      return fail("policy.syntax", "aliases are not allowed", event_.start_mark);
    default:
      return fail("policy.syntax", "unexpected YAML", event_.start_mark);
  }
}

Parsed<Node> Builder::scalar() {
  const auto& e = event_.data.scalar;
  if (e.anchor != nullptr) return fail("policy.syntax", "anchors are not allowed", event_.start_mark);
  if (e.tag != nullptr) return fail("policy.syntax", "tags are not allowed", event_.start_mark);
  Node out{.line = static_cast<int>(event_.start_mark.line) + 1,
           .column = static_cast<int>(event_.start_mark.column) + 1};
  out.scalar.assign(reinterpret_cast<const char*>(e.value), e.length);
  out.quoted = e.style != YAML_PLAIN_SCALAR_STYLE;
  if (out.scalar.find('\0') != std::string::npos)
    return fail("policy.syntax", "a NUL character", event_.start_mark);
  return out;
}

Parsed<Node> Builder::sequence(int depth) {
  const auto& e = event_.data.sequence_start;
  if (e.anchor != nullptr) return fail("policy.syntax", "anchors are not allowed", event_.start_mark);
  if (e.tag != nullptr) return fail("policy.syntax", "tags are not allowed", event_.start_mark);
  Node out{.kind = Node::Kind::sequence,
           .line = static_cast<int>(event_.start_mark.line) + 1,
           .column = static_cast<int>(event_.start_mark.column) + 1};
  while (true) {
    auto type = next();
    if (!type) return std::unexpected(type.error());
    if (*type == YAML_SEQUENCE_END_EVENT) return out;
    auto item = start(depth + 1);
    if (!item) return item;
    out.items.push_back(std::move(*item));
  }
}

Parsed<Node> Builder::mapping(int depth) {
  const auto& e = event_.data.mapping_start;
  if (e.anchor != nullptr) return fail("policy.syntax", "anchors are not allowed", event_.start_mark);
  if (e.tag != nullptr) return fail("policy.syntax", "tags are not allowed", event_.start_mark);
  Node out{.kind = Node::Kind::mapping,
           .line = static_cast<int>(event_.start_mark.line) + 1,
           .column = static_cast<int>(event_.start_mark.column) + 1};
  std::unordered_set<std::string> seen;
  while (true) {
    auto type = next();
    if (!type) return std::unexpected(type.error());
    if (*type == YAML_MAPPING_END_EVENT) return out;
    const yaml_mark_t mark = event_.start_mark;
    if (*type != YAML_SCALAR_EVENT) return fail("policy.syntax", "a key must be a scalar", mark);
    auto key = start(depth + 1);
    if (!key) return key;
    if (key->scalar == "<<" && !key->quoted) return fail("policy.syntax", "merge keys are not allowed", mark);
    if (!seen.insert(key->scalar).second)
      return fail("policy.duplicate_key", fmt::format("duplicate key '{}'", key->scalar), mark);
    auto value = node(depth + 1);
    if (!value) return value;
    out.members.emplace_back(std::move(*key), std::move(*value));
  }
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : members)
    if (name.scalar == key) return &value;
  return nullptr;
}

std::expected<Node, Diagnostics> parse(std::string_view text, std::string_view file) {
  if (text.size() > kMaxBytes) {
    return std::unexpected(Diagnostics{{.file = std::string(file),
                                        .line = 1,
                                        .column = 1,
                                        .code = "policy.syntax",
                                        .message = fmt::format("larger than {} bytes", kMaxBytes)}});
  }
  auto root = Builder(text, file).document();
  if (!root) return std::unexpected(Diagnostics{root.error().diagnostic});
  return std::move(*root);
}

}  // namespace saw::policy::yaml
