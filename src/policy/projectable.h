// Which parts of the language the programs of this version enforce. The language has more: `saw policy lint` accepts it and warns, but a
// policy is put to use only if every rule of it can be projected into a control (R71), because a rule that is not enforced is a promise
// that nobody keeps.
//
//   for (const Diagnostic& d : unprojectable(policy)) refuse(d.text());    // "corp.yaml:14:5: error: network.tools: protocol: mcp …"
//
// Asked wherever a policy is put to use: admission of a workspace, loading of a release, saw-egress itself.
#pragma once

#include "policy/policy.h"

namespace saw::policy {

// What the policy says and nobody would enforce, as errors of code "policy.not_available_yet"; empty: it can be used.
Diagnostics unprojectable(const Policy& policy);
// The same as warnings of code "policy.not_enforced", for who writes policies ahead of their time.
Diagnostics not_enforced(const Policy& policy);
// Their texts, one a line.
std::string lines_of(const Diagnostics& diagnostics);

}  // namespace saw::policy
