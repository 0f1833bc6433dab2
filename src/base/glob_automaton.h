// The one glob of the policy language (docs/policy.md) as part of an automaton, for whoever has to know exactly
// what two globs have in common.
//
//   append_glob(builder, "/repos/*/issues/**", {.separator = '/'}, from, to);
//
// `*` is any run within a segment, `?` one byte, `[a-z]` a class; `**`, alone in its segment, any number of
// segments. Without a separator the whole text is one segment. check_glob() says what is wrong with a text;
// append_glob() wants one that was checked.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/automaton.h"

namespace saw {

struct GlobKind {
  std::optional<char> separator;
  Automaton::Bytes alphabet = Automaton::Bytes().set();  // what wildcards may stand for
};
constexpr size_t kMaxGlobLength = 1024, kMaxGlobSegments = 64;

// A phrase for a diagnostic, empty if the glob is well formed.
std::string check_glob(std::string_view text, const GlobKind& kind);
void append_glob(Automaton::Builder& builder, std::string_view text, const GlobKind& kind,
                 Automaton::State from, Automaton::State to);

}  // namespace saw
