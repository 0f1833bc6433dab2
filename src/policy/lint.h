// What is legal in a policy but probably not what its author means: `saw policy lint` adds it to the compiler's own warnings.
//
//   for (const Diagnostic& d : lint(policy)) print(d.text());    // "corp.yaml:14:9: warning: network.api.allow[1] never decides: …"
//
// Codes: policy.shadowed, policy.redundant, policy.never_matches (rules); policy.glob (globs that surprise); policy.unused_credential,
// policy.shared_credential; policy.private_way_out; policy.client_chosen (a constraint on something the client names as it likes);
// policy.no_effect; policy.not_enforced (unprojectable, projectable.h). What it says of two rules is never wrong, but it does not find
// everything: proofs are in prove/.
#pragma once

#include "policy/policy.h"

namespace saw::policy {

Diagnostics lint(const Policy& policy);

}  // namespace saw::policy
