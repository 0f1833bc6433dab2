#include "policy/reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.h"

namespace saw::policy {
namespace {

using yaml::Node;

bool digits_only(std::string_view s) {
  return !s.empty() && std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<uint64_t> to_number(std::string_view text) {
  uint64_t value = 0;
  if (!digits_only(text) || (text.size() > 1 && text[0] == '0')) return {};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// Words that YAML readers turn into booleans or null, and numbers: as text they must be quoted.
bool looks_typed(std::string_view s) {
  std::string lower(s);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  constexpr std::array<std::string_view, 9> kWords = {"",    "~",  "null", "true", "false",
                                                      "yes", "no", "on",   "off"};
  if (std::ranges::find(kWords, lower) != kWords.end()) return true;
  double number = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), number);
  return error == std::errc() && end == s.data() + s.size();
}

std::string kind_name(const Node& node) {
  switch (node.kind) {
    case Node::Kind::mapping:
      return "a mapping";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::scalar:
      return fmt::format("'{}'", printable(node.scalar, 60));
  }
  return "something else";
}

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// "<number><unit>"; nullopt on anything else and on overflow.
std::optional<uint64_t> scaled(std::string_view text, std::span<const Unit> units) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto number = to_number(text.substr(0, digits));
  if (!number) return {};
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    if (*number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / unit.factor) return {};
    return *number * unit.factor;
  }
  return {};
}

// Insertions, deletions, replacements, and swaps of neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] =
          std::min({d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), d[i - 1][j] + 1, d[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string suggestion(std::string_view word, std::span<const std::string_view> names) {
  auto near = closest(word, names);
  return near ? fmt::format(", did you mean '{}'?", *near)
              : fmt::format("; expected one of: {}", fmt::join(names, ", "));
}

}  // namespace

std::optional<std::string_view> closest(std::string_view word, std::span<const std::string_view> names) {
  constexpr size_t kLongestName = 64;
  if (word.size() > kLongestName) return {};
  std::optional<std::string_view> best;
  size_t best_distance = std::max<size_t>(word.size() / 3, 1) + 1;
  for (std::string_view name : names) {
    const size_t distance = edit_distance(word, name);
    if (distance < best_distance) best = name, best_distance = distance;
  }
  return best;
}

void Reader::add(Diagnostic::Severity severity, Place at, std::string_view code, std::string message) {
  if (severity == Diagnostic::Severity::error) ++errors_;
  if (diagnostics_.size() >= kMaxDiagnostics) {
    // The first error of all must be kept, or a policy full of warnings would look valid.
    if (severity != Diagnostic::Severity::error || errors_ > 1) return;
  }
  diagnostics_.push_back({severity, file_, at.line, at.column, std::string(code), std::move(message)});
}

void Reader::error(Place at, std::string_view code, std::string message) {
  add(Diagnostic::Severity::error, at, code, std::move(message));
}
void Reader::warning(Place at, std::string_view code, std::string message) {
  add(Diagnostic::Severity::warning, at, code, std::move(message));
}
Diagnostics Reader::take() {
  if (failed())
    std::erase_if(diagnostics_,
                  [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::warning; });
  std::ranges::sort(diagnostics_, {},
                    [](const Diagnostic& d) { return std::tie(d.line, d.column, d.message); });
  return std::move(diagnostics_);
}

bool Reader::fields(const Node& node, const Object& object, std::string_view what) {
  if (what.empty()) what = object.what;
  if (node.kind != Node::Kind::mapping) {
    error(place_of(node), "policy.wrong_type",
          fmt::format("{} must be a mapping, not {}", what, kind_name(node)));
    return false;
  }
  std::vector<std::string_view> known;
  for (const Field& field : object.fields) {
    known.push_back(field.key);
    if (field.presence == Presence::required && node.find(field.key) == nullptr)
      error(place_of(node), "policy.missing_field", fmt::format("{} needs '{}'", what, field.key));
  }
  for (const auto& [key, value] : node.members) {
    if (std::ranges::find(known, key.scalar) != known.end()) continue;
    error(place_of(key), "policy.unknown_field",
          fmt::format("unknown field '{}' in {}{}", printable(key.scalar, 60), what,
                      suggestion(key.scalar, known)));
  }
  return true;
}

const std::vector<Node>* Reader::list(const Node& node, std::string_view what) {
  if (node.kind != Node::Kind::sequence) {
    error(place_of(node), "policy.wrong_type",
          fmt::format("{} must be a list, not {}", what, kind_name(node)));
    return nullptr;
  }
  if (node.items.empty()) {
    error(place_of(node), "policy.empty_list",
          fmt::format("{} is an empty list, which never means everything: leave it out or fill it", what));
    return nullptr;
  }
  return &node.items;
}

bool Reader::scalar(const Node& node, std::string_view what, std::string_view expected) {
  if (node.kind == Node::Kind::scalar) return true;
  error(place_of(node), "policy.wrong_type",
        fmt::format("{} must be {}, not {}", what, expected, kind_name(node)));
  return false;
}

std::optional<std::string> Reader::loose_text(const Node& node, std::string_view what) {
  if (!scalar(node, what, "text")) return {};
  if (node.scalar.empty()) {
    error(place_of(node), "policy.wrong_type", fmt::format("{} must not be empty", what));
    return {};
  }
  const bool control =
      std::ranges::any_of(node.scalar, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (control || node.scalar.size() > kMaxText) {
    error(place_of(node), "policy.bad_value",
          fmt::format("{} must be one line of at most {} bytes, not {}", what, kMaxText, kind_name(node)));
    return {};
  }
  return node.scalar;
}

std::optional<std::string> Reader::text(const Node& node, std::string_view what) {
  if (node.kind == Node::Kind::scalar && !node.quoted && looks_typed(node.scalar)) {
    error(place_of(node), "policy.wrong_type",
          fmt::format("{} must be text, not {}: quote it if it is meant", what, kind_name(node)));
    return {};
  }
  return loose_text(node, what);
}

std::optional<bool> Reader::boolean(const Node& node, std::string_view what) {
  if (is_plain_word(node, "true")) return true;
  if (is_plain_word(node, "false")) return false;
  error(place_of(node), "policy.wrong_type",
        fmt::format("{} must be true or false, not {}", what, kind_name(node)));
  return {};
}

std::optional<uint64_t> Reader::number(const Node& node, std::string_view what, Bounds bounds) {
  if (!scalar(node, what, "a number")) return {};
  auto value = node.quoted ? std::nullopt : to_number(node.scalar);
  if (!value) {
    error(place_of(node), "policy.wrong_type",
          fmt::format("{} must be a whole number, not {}", what, kind_name(node)));
    return {};
  }
  if (*value < bounds.least || *value > bounds.most) {
    error(place_of(node), "policy.bad_value",
          fmt::format("{} must be between {} and {}, not {}", what, bounds.least, bounds.most, *value));
    return {};
  }
  return value;
}

std::optional<double> Reader::decimal(const Node& node, std::string_view what, double most) {
  if (!scalar(node, what, "a number")) return {};
  const std::string_view s = node.scalar;
  const size_t dot = s.find('.');
  const std::string_view fraction = dot == std::string_view::npos ? "0" : s.substr(dot + 1);
  double value = 0;
  std::from_chars(s.data(), s.data() + s.size(), value);
  if (node.quoted || !to_number(s.substr(0, dot)) || !digits_only(fraction) || fraction.size() > 3) {
    error(place_of(node), "policy.wrong_type",
          fmt::format("{} must be a number such as 2 or 0.5, not {}", what, kind_name(node)));
    return {};
  }
  if (value > 0 && value <= most) return value;
  error(place_of(node), "policy.bad_value",
        fmt::format("{} must be above 0 and at most {}, not {}", what, most, kind_name(node)));
  return {};
}

std::optional<uint64_t> Reader::size(const Node& node, std::string_view what) {
  constexpr std::array kUnits = {Unit{"", 1},           Unit{"B", 1},
                                 Unit{"KiB", 1u << 10}, Unit{"MiB", 1u << 20},
                                 Unit{"GiB", 1u << 30}, Unit{"TiB", uint64_t{1} << 40}};
  if (!scalar(node, what, "a size")) return {};
  auto value = scaled(node.scalar, kUnits);
  if (value && *value > 0) return value;
  error(place_of(node), "policy.bad_value",
        fmt::format("{} must be a size such as 512MiB or 2GiB (B, KiB, MiB, GiB, TiB), not {}", what,
                    kind_name(node)));
  return {};
}

std::optional<int64_t> Reader::duration_ms(const Node& node, std::string_view what) {
  constexpr std::array kUnits = {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000},
                                 Unit{"d", 86'400'000}};
  if (!scalar(node, what, "a duration")) return {};
  auto value = scaled(node.scalar, kUnits);
  if (value && *value > 0) return static_cast<int64_t>(*value);
  error(place_of(node), "policy.bad_value",
        fmt::format("{} must be a duration such as 30s or 24h (ms, s, m, h, d), not {}", what,
                    kind_name(node)));
  return {};
}

bool Reader::is_plain_word(const Node& node, std::string_view word) {
  return node.kind == Node::Kind::scalar && node.scalar == word &&
         !(node.quoted && (word == "true" || word == "false"));
}

void Reader::refuse_choice(const Node& node, std::string_view what, std::span<const std::string_view> names) {
  if (!scalar(node, what, "one word")) return;
  error(place_of(node), "policy.unknown_value",
        fmt::format("unknown value '{}' for {}{}", printable(node.scalar, 60), what,
                    suggestion(node.scalar, names)));
}

}  // namespace saw::policy
