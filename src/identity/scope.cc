#include "identity/scope.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/glob_automaton.h"

namespace saw::identity {
namespace {

// An action as a word: one byte for the class, one for the labels, the tool, NUL, the resource.
constexpr uint8_t kFirstAction = 'a', kFirstLabels = '0';
constexpr char kEndOfTool = '\0';

constexpr std::array<std::string_view, kActionClasses> kNames = {
    "execute", "read", "search", "summarise", "draft", "change", "delete", "send", "publish"};

GlobKind tool_kind() {
  GlobKind kind;
  kind.alphabet.reset(static_cast<uint8_t>(kEndOfTool));
  return kind;
}
GlobKind resource_kind() {
  GlobKind kind = tool_kind();
  kind.separator = '/';
  return kind;
}

Result<> check_globs(std::string_view what, const std::vector<std::string>& globs, size_t most,
                     const GlobKind& kind) {
  if (globs.empty() || globs.size() > most)
    return Error::make("identity.scope", "a grant names 1 to {} {}", most, what);
  for (const std::string& glob : globs)
    if (const std::string problem = check_glob(glob, kind); !problem.empty())
      return Error::make("identity.scope", "{} '{}': {}", what, printable(glob, 80), problem);
  return {};
}

Result<> check(const Grant& grant) {
  if (grant.actions.empty()) return Error::make("identity.scope", "a grant names at least one action class");
  if (grant.labels > kAllLabels) return Error::make("identity.scope", "a grant tolerates an unknown label");
  SAW_TRY(check_globs("tools", grant.tools, Scope::kMaxTools, tool_kind()));
  return check_globs("resources", grant.resources, Scope::kMaxResources, resource_kind());
}

void append(Automaton::Builder& b, const Grant& grant, Automaton::State from, Automaton::State to) {
  Automaton::Bytes actions, labels;
  for (ActionClass action : grant.actions) actions.set(kFirstAction + static_cast<size_t>(action));
  for (unsigned set = 0; set <= kAllLabels; ++set)
    if ((set & ~unsigned{grant.labels}) == 0) labels.set(kFirstLabels + set);
  const auto labelled = b.add(), tool = b.add(), tool_end = b.add(), resource = b.add();
  b.edge(from, actions, labelled);
  b.edge(labelled, labels, tool);
  for (const std::string& glob : grant.tools) append_glob(b, glob, tool_kind(), tool, tool_end);
  b.edge(tool_end, Automaton::Bytes().set(static_cast<uint8_t>(kEndOfTool)), resource);
  for (const std::string& glob : grant.resources) append_glob(b, glob, resource_kind(), resource, to);
}

std::unexpected<Error> too_large() {
  return Error::make("identity.scope_too_large",
                     "the grants' globs are too intricate to be compared exactly");
}

std::string describe(std::string_view word) {
  constexpr size_t kPrefix = 2;
  if (word.size() < kPrefix) return "an action";
  const auto action = static_cast<uint8_t>(word[0]) - kFirstAction,
             labels = static_cast<uint8_t>(word[1]) - kFirstLabels;
  const size_t end = word.find(kEndOfTool, kPrefix);
  std::string out =
      fmt::format("{} with tool '{}' on '{}'", kNames[static_cast<size_t>(action) % kActionClasses],
                  printable(word.substr(kPrefix, end - kPrefix)),
                  end == std::string_view::npos ? "" : printable(word.substr(end + 1)));
  if (labels & kPrivate) out += " after private data";
  if (labels & kUntrusted) out += labels & kPrivate ? " and untrusted content" : " after untrusted content";
  return out;
}

}  // namespace

std::string_view name(ActionClass action) {
  return kNames[static_cast<size_t>(action)];
}

std::optional<Labels> parse_label(std::string_view text) {
  if (text == "private") return kPrivate;
  if (text == "untrusted") return kUntrusted;
  return {};
}

std::vector<std::string_view> names(Labels labels) {
  std::vector<std::string_view> out;
  if (labels & kPrivate) out.emplace_back("private");
  if (labels & kUntrusted) out.emplace_back("untrusted");
  return out;
}

std::optional<ActionClass> parse_action_class(std::string_view text) {
  const auto found = std::ranges::find(kNames, text);
  if (found == kNames.end()) return {};
  return static_cast<ActionClass>(found - kNames.begin());
}

Result<Scope> Scope::create(std::vector<Grant> grants) {
  if (grants.empty() || grants.size() > kMaxGrants)
    return Error::make("identity.scope", "a delegation has 1 to {} grants", kMaxGrants);
  Automaton::Builder b;
  const auto from = b.add(), to = b.add();
  for (const Grant& grant : grants) {
    SAW_TRY(check(grant));
    append(b, grant, from, to);
  }
  auto automaton = b.build(from, to);
  if (!automaton) return too_large();
  return Scope(std::move(grants), std::move(*automaton));
}

bool Scope::permits(const Action& a) const {
  auto state = automaton_.start();
  auto step = [&](uint8_t byte) { state = automaton_.next(state, byte); };
  if (a.tool.contains(kEndOfTool) || a.resource.contains(kEndOfTool) || a.labels > kAllLabels) return false;
  step(static_cast<uint8_t>(kFirstAction + static_cast<size_t>(a.action)));
  step(static_cast<uint8_t>(kFirstLabels + a.labels));
  for (char c : a.tool) step(static_cast<uint8_t>(c));
  step(static_cast<uint8_t>(kEndOfTool));
  for (char c : a.resource) step(static_cast<uint8_t>(c));
  return automaton_.accepts(state);
}

Result<std::optional<std::string>> Scope::excess_over(const Scope& other) const {
  const Automaton* in[] = {&automaton_};
  const Automaton* out[] = {&other.automaton_};
  const Search search = first_word(in, out);
  if (search.word) return std::optional(describe(*search.word));
  if (!search.complete) return too_large();
  return std::optional<std::string>();
}

}  // namespace saw::identity
