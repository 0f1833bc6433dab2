// Globs as automata: the exact answer to what two of them have in common (base/automaton.h).
//
//   auto a = automaton_of(glob);                  // nullopt: too many states ("*a??????????????")
//   includes(*automaton_of(outer), *a)            // whether `outer` matches whatever `glob` matches
#pragma once

#include <optional>

#include "base/automaton.h"
#include "policy/glob.h"

namespace saw::policy {

// Accepts exactly what glob.matches().
std::optional<Automaton> automaton_of(const Glob& glob);
// Adds the glob between two states of an automaton that is being built.
void append(Automaton::Builder& builder, const Glob& glob, Automaton::State from, Automaton::State to);

}  // namespace saw::policy
