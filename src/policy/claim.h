// A claim that a candidate policy gets past its ceiling, and its confirmation by what really decides.
//
//   Confirmation c = confirm(candidate, ceiling, claim);     // two policies, a Claim from saw-prove
//   if (!c.holds) …                                          // the prover is wrong: never show it as a fact
//
// The prover models the engine; this asks the engine itself: `decide` for requests, the endpoint's treatment
// for credentials, the documents for files, labels and settings.
#pragma once

#include <string>

#include "policy/policy.h"

namespace saw::policy {

// matter: effect, credential, content, data, dns (with a request), file, label (with a path), setting.
struct Claim {
  std::string matter;
  std::string request;       // a line for `saw policy decide`
  std::string path, access;  // of a file: read or write; of a label: its name
  std::string setting;       // as it is written in a policy: "process.limits.memory"
};

struct Confirmation {
  bool holds = false;
  std::string candidate, ceiling;  // what each says: a decision in JSON, or a word
};
Confirmation confirm(const Policy& candidate, const Policy& ceiling, const Claim& claim);

}  // namespace saw::policy
