// What a person asks for when creating a workspace, judged before anything is stored. Pure.
//
//   Accepted accepted = SAW_TRY(accept(spec, caller));     // compiled policy and the stored form, still
//   without keys
//
// Refused: a policy that does not compile (with all diagnostics), a profile other than the policy's, an
// isolation this build cannot give (R2: never degraded silently), host paths named by somebody who is not an
// operator (saw-node would open them with its own rights).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/types.h"
#include "policy/policy.h"
#include "release/verify.h"
#include "sandbox/node_protocol.h"
#include "store/store.h"

namespace saw::control {

struct Accepted {
  store::Workspace workspace;  // id, sandbox, CA, placeholders and created are not filled yet
  policy::Policy policy;
};
// `release`: of the channel that the specification names; nullptr without one.
Result<Accepted> accept(const WorkspaceSpec& spec, const Caller& caller,
                        const release::Verified* release = nullptr);

// Over everything that makes two specifications the same one.
std::string spec_digest(const WorkspaceSpec& spec);

// "/a/b": absolute, no empty, "." or ".." segment, no NUL, at most 4096 bytes.
bool is_canonical_path(std::string_view path);

// What kind of runtime a command is, by its name: bash, python3, python3.11, with or without a path.
Result<sandbox::WarmRuntime::Kind> warm_kind(std::string_view command);
// Variables of `base`, then those that a request sets; sorted, one value for each name.
std::vector<std::string> merge_environment(const std::vector<std::string>& base,
                                           const std::map<std::string, std::string>& set);

}  // namespace saw::control
