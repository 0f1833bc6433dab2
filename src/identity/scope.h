// What a delegation permits, as an exact set: action class × labels × tool × resource. Two scopes are compared
// as automata, so "narrower" is decided and never guessed from how globs are spelt.
//
//   Scope scope = SAW_TRY(Scope::create({{.actions = {ActionClass::read}, .tools = {"git*"},
//                                         .resources = {"https://git.example/acme/**"}}}));
//   scope.permits({.action = ActionClass::read, .tool = "git", .resource = "https://git.example/acme/x"})
//   child.excess_over(parent)       // nullopt: child ⊆ parent; else an action that shows it is not
//
// A scope is the union of its grants; within a grant an action needs its class, one of its tools, one of its
// resources, and no label that the grant does not tolerate. Globs are those of the policy language: `*` in a
// tool is any run; resources have segments, divided by '/'. permits() allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/automaton.h"
#include "base/result.h"

namespace saw::identity {

// What acting does to the world (R89): the first five change nothing elsewhere.
enum class ActionClass : uint8_t { execute, read, search, summarise, draft, change, remove, send, publish };
constexpr size_t kActionClasses = 9;
std::string_view name(ActionClass action);  // "execute", …, "delete", …
std::optional<ActionClass> parse_action_class(std::string_view text);

// Labels of the process tree that acts, as bits.
using Labels = uint8_t;
constexpr Labels kPrivate = 1, kUntrusted = 2, kAllLabels = 3;
std::optional<Labels> parse_label(std::string_view text);  // "private", "untrusted"
std::vector<std::string_view> names(Labels labels);

struct Grant {
  std::vector<ActionClass> actions;
  std::vector<std::string> tools, resources;
  Labels labels = kAllLabels;  // tolerated
  friend bool operator==(const Grant&, const Grant&) = default;
};

struct Action {
  ActionClass action = ActionClass::execute;
  std::string_view tool, resource;
  Labels labels = 0;
};

class Scope {
 public:
  static constexpr size_t kMaxGrants = 16, kMaxTools = 16, kMaxResources = 32;

  // "identity.scope": empty list, malformed glob, or more than automata of this size can hold.
  static Result<Scope> create(std::vector<Grant> grants);
  bool permits(const Action& action) const;
  // An action that this scope permits and `other` does not, in words; "identity.scope_too_large" where it
  // could not be decided.
  Result<std::optional<std::string>> excess_over(const Scope& other) const;
  const std::vector<Grant>& grants() const { return grants_; }

 private:
  Scope(std::vector<Grant> grants, Automaton automaton)
      : grants_(std::move(grants)), automaton_(std::move(automaton)) {}
  std::vector<Grant> grants_;
  Automaton automaton_;
};

}  // namespace saw::identity
