// Proofs about policies: whether a candidate stays within a ceiling, for every request and every file there
// is.
//
//   auto candidate = PolicyText::read(candidate_yaml, "new.yaml");     // claim.h; Diagnostics
//   Answer a = prove_within(candidate->document, ceiling->document, {});
//   a.verdict == Verdict::proved                                       // nothing gets past the ceiling
//
// Within means: the candidate lets nothing pass that the ceiling denies, nothing unreviewed that the ceiling
// reviews, sends no secret where the ceiling does not send the same one in the same way, calls nothing
// trusted or public that the ceiling calls untrusted or confidential, opens no file and weakens no setting
// (isolation, strict, runLater, limits, approvers, the life of credentials). Not looked at: budgets and rate
// limits.
//
// Strings are decided by automata (base/automaton.h), the rest by Z3 (question.h). Both are bounded: an
// answer is `unknown` where a bound was met, and `unknown` is never `proved`. Run it in a process of its own
// (apps/saw-prove): the policies may be anybody's.
#pragma once

#include <string>

#include "policy/claim.h"
#include "policy/prove/question.h"

namespace saw::policy::prove {

enum class Verdict : uint8_t { proved, counterexample, unknown };
std::string_view name(Verdict verdict);

struct Answer {
  Verdict verdict = Verdict::unknown;
  Claim claim;         // counterexample
  std::string reason;  // unknown: why
};

struct Options {
  Bounds words;
  AskOptions ask;
  size_t max_parts = 2'000;  // of the host names
};

Answer prove_within(const Document& candidate, const Document& ceiling, const Options& options);
// {"verdict":…, …}: what saw-prove writes.
std::string to_json(const Answer& answer);

}  // namespace saw::policy::prove
