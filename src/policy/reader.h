// Typed access to YAML nodes that collects diagnostics instead of stopping at the first.
//
//   Reader reader("corp.yaml");
//   if (reader.fields(node, kProcess))                    // the fields of vocabulary.h
//     if (const Node* limits = node.find("limits")) …
//   auto size = reader.size(node, "memory");              // "2GiB"; nullopt: an error was recorded
//
// Values are read strictly: a plain `yes`, `true`, `null` or number is not text, a quoted number is not a
// number, an empty list is an error. After kMaxDiagnostics the rest is only counted.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document.h"
#include "policy/vocabulary.h"
#include "policy/yaml.h"

namespace saw::policy {

class Reader {
 public:
  static constexpr size_t kMaxDiagnostics = 100;
  static constexpr size_t kMaxText = 4096;

  explicit Reader(std::string_view file) : file_(file) {}

  void error(Place at, std::string_view code, std::string message);
  void warning(Place at, std::string_view code, std::string message);
  bool failed() const { return errors_ > 0; }
  // Errors, or warnings if there were no errors.
  Diagnostics take();

  // A mapping whose keys are all known and that has those it needs; what is wrong with keys is an error of its own
  // and does not make this false. `what` is for messages, by default the object's own.
  bool fields(const yaml::Node& node, const Object& object, std::string_view what = {});
  // A sequence with at least one item; nullptr with an error otherwise.
  const std::vector<yaml::Node>* list(const yaml::Node& node, std::string_view what);

  std::optional<std::string> text(const yaml::Node& node, std::string_view what);
  // Also plain numbers and words such as `true`: for values that are compared as text.
  std::optional<std::string> loose_text(const yaml::Node& node, std::string_view what);
  std::optional<bool> boolean(const yaml::Node& node, std::string_view what);
  std::optional<uint64_t> number(const yaml::Node& node, std::string_view what, Bounds bounds);
  std::optional<double> decimal(const yaml::Node& node, std::string_view what,
                                double most);                                   // > 0, at most three decimals
  std::optional<uint64_t> size(const yaml::Node& node, std::string_view what);  // bytes, > 0
  std::optional<int64_t> duration_ms(const yaml::Node& node, std::string_view what);  // > 0

  template <class E, size_t N>
  std::optional<E> one_of(const yaml::Node& node, std::string_view what, const Word<E> (&words)[N]) {
    std::array<std::string_view, N> names;
    for (size_t i = 0; i < N; ++i) {
      if (is_plain_word(node, words[i].text)) return words[i].value;
      names[i] = words[i].text;
    }
    refuse_choice(node, what, names);
    return {};
  }
  // Each item of a list; those that are wrong are left out, with an error.
  template <class E, size_t N>
  std::vector<E> each_of(const yaml::Node& node, std::string_view what, const Word<E> (&words)[N]) {
    std::vector<E> out;
    const auto* items = list(node, what);
    if (items == nullptr) return out;
    for (const yaml::Node& item : *items)
      if (auto value = one_of(item, what, words)) out.push_back(*value);
    return out;
  }

 private:
  static bool is_plain_word(const yaml::Node& node, std::string_view word);
  void refuse_choice(const yaml::Node& node, std::string_view what, std::span<const std::string_view> names);
  bool scalar(const yaml::Node& node, std::string_view what, std::string_view expected);
  void add(Diagnostic::Severity severity, Place at, std::string_view code, std::string message);

  std::string file_;
  Diagnostics diagnostics_;
  size_t errors_ = 0;
};

inline Place place_of(const yaml::Node& node) {
  return {node.line, node.column};
}
// The name closest to `word`, if close enough to be a slip.
std::optional<std::string_view> closest(std::string_view word, std::span<const std::string_view> names);

}  // namespace saw::policy
