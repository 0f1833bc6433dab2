// The question put to Z3: is there a request, at one part of the host names, that the candidate treats less
// strictly than the ceiling?
//
//   Reply reply = ask(part, space, sides, {});
//   if (reply.verdict == Reply::Verdict::found) print(to_line(*reply.witness));
//
// Strings are no concern of the solver: it chooses among the parts of a Space, ports, addresses and labels.
// What it finds is a claim until the real engine has judged the witness (confirm.h).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "policy/prove/space.h"
#include "policy/prove/witness.h"

namespace saw::policy::prove {

// What may be less strict. In this order of asking; the first that is found ends it.
enum class Matter : uint8_t {
  effect,      // passes where the ceiling does not let it pass, or unreviewed where it wants review
  credential,  // carries a secret that the ceiling would not send there
  content,     // what comes back counts as trusted, and in the ceiling as untrusted
  data,        // what comes back counts as less confidential than in the ceiling
};
std::string_view name(Matter matter);

struct Reply {
  enum class Verdict : uint8_t { none, found, unknown } verdict = Verdict::unknown;
  Matter matter = Matter::effect;  // found
  std::optional<Witness> witness;  // found
  std::string reason;              // unknown
};
struct AskOptions {
  unsigned solver_ms = 20'000;  // for each question
  // Sees each question in SMT-LIB, and whether it has an answer.
  std::function<void(std::string smt2, bool satisfiable)> listener;
};
Reply ask(const HostPart& part, const Space& space, const Sides& sides, const AskOptions& options);

}  // namespace saw::policy::prove
