#include "policy/glob_automaton.h"

#include "base/glob_automaton.h"

namespace saw::policy {
namespace {

GlobKind kind_of(Glob::Kind kind) {
  switch (kind) {
    case Glob::Kind::host:
      return {.separator = '.'};
    case Glob::Kind::path:
    case Glob::Kind::ref:
      return {.separator = '/'};
    case Glob::Kind::name:
    case Glob::Kind::value:
      return {};
  }
  return {};
}

}  // namespace

void append(Automaton::Builder& builder, const Glob& glob, Automaton::State from, Automaton::State to) {
  append_glob(builder, glob.text(), kind_of(glob.kind()), from, to);
}

std::optional<Automaton> automaton_of(const Glob& glob) {
  Automaton::Builder b;
  const Automaton::State from = b.add(), to = b.add();
  append(b, glob, from, to);
  return b.build(from, to);
}

}  // namespace saw::policy
