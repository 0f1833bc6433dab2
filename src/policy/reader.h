// Typed access to YAML nodes that collects diagnostics instead of stopping at the first.
//
//   Reader reader("corp.yaml");
//   if (reader.fields(node, "process", {"limits"}))
//     if (const Node* limits = node.find("limits")) …
//   auto size = reader.size(node, "memory");              // "2GiB"; nullopt: an error was recorded
//
// Values are read strictly: a plain `yes`, `true`, `null` or number is not text, a quoted number is not a
// number, an empty list is an error. After kMaxDiagnostics the rest is only counted.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/document.h"
#include "policy/yaml.h"

namespace saw::policy {

class Reader {
 public:
  static constexpr size_t kMaxDiagnostics = 100;
  static constexpr size_t kMaxText = 4096;

  explicit Reader(std::string_view file) : file_(file) {}

  void error(Place at, std::string_view code, std::string message);
  void warning(Place at, std::string_view code, std::string message);
  // The language has it, this version does not enforce it: refused, never ignored (R71).
  void not_available(Place at, std::string_view what);
  bool failed() const { return errors_ > 0; }
  // Errors, or warnings if there were no errors.
  Diagnostics take();

  // A mapping whose keys are all known; an unknown one is an error of its own and does not make this false.
  bool fields(const yaml::Node& node, std::string_view what, std::span<const std::string_view> known);
  bool fields(const yaml::Node& node, std::string_view what, std::initializer_list<std::string_view> known) {
    return fields(node, what, std::span(known.begin(), known.size()));
  }
  // A sequence with at least one item; nullptr with an error otherwise.
  const std::vector<yaml::Node>* list(const yaml::Node& node, std::string_view what);

  std::optional<std::string> text(const yaml::Node& node, std::string_view what);
  // Also plain numbers and words such as `true`: for values that are compared as text.
  std::optional<std::string> loose_text(const yaml::Node& node, std::string_view what);
  std::optional<bool> boolean(const yaml::Node& node, std::string_view what);
  std::optional<uint64_t> number(const yaml::Node& node, std::string_view what, uint64_t least,
                                 uint64_t most);
  std::optional<double> decimal(const yaml::Node& node, std::string_view what,
                                double most);                                   // > 0, at most three decimals
  std::optional<uint64_t> size(const yaml::Node& node, std::string_view what);  // bytes, > 0
  std::optional<int64_t> duration_ms(const yaml::Node& node, std::string_view what);  // > 0

  template <class E> using Choices = std::initializer_list<std::pair<std::string_view, E>>;
  template <class E>
  std::optional<E> one_of(const yaml::Node& node, std::string_view what, Choices<E> choices) {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : choices) {
      if (is_plain_word(node, name)) return value;
      names.push_back(name);
    }
    refuse_choice(node, what, names);
    return {};
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
