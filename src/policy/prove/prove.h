// Proofs about policies: whether a candidate stays within a ceiling, for every request and every file there
// is.
//
//   auto candidate = read_policy(candidate_yaml, "new.yaml");   // Diagnostics, as Policy::compile
//   Answer a = prove_within(*candidate, *ceiling, {});
//   a.verdict == Verdict::proved                                // nothing gets past the ceiling
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

#include <expected>
#include <string>

#include "policy/document.h"
#include "policy/prove/question.h"

namespace saw::policy::prove {

enum class Verdict : uint8_t { proved, counterexample, unknown };
std::string_view name(Verdict verdict);

struct Answer {
  Verdict verdict = Verdict::unknown;
  std::string matter;        // counterexample: effect, credential, content, data, dns, file, label, setting
  std::string request;       // … about a request: a line for `saw policy decide`
  std::string path, access;  // … about a file: read or write; of a label: its name
  std::string setting;       // … about a setting: its name
  std::string reason;        // unknown: why
};

struct Options {
  Bounds words;
  AskOptions ask;
  size_t max_parts = 2'000;  // of the host names
};

// A policy that compiles, as a document.
std::expected<Document, Diagnostics> read_policy(std::string_view yaml, std::string_view file);
Answer prove_within(const Document& candidate, const Document& ceiling, const Options& options);
// {"verdict":…, …}: what saw-prove writes.
std::string to_json(const Answer& answer);

}  // namespace saw::policy::prove
