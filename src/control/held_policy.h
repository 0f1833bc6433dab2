// A compiled policy in memory, and whether it still is what was compiled (R73, R74).
//
//   HeldPolicy held(std::move(compiled), yaml);
//   SAW_TRY(held.attest());      // before each sandbox is planned: "policy.altered"
//
// What is compared is the canonical form of the compiled policy and its source, so that neither a stray write nor a
// debugger can change what the next sandbox is built from. Costs one rendering of the policy; not for each decision.
#pragma once

#include <string>

#include "policy/policy.h"

namespace saw::control {

class HeldPolicy {
 public:
  HeldPolicy(policy::Policy policy, std::string_view yaml);

  const policy::Policy& get() const { return policy_; }
  // `yaml`: the source as it is held now.
  Result<> attest(std::string_view yaml) const;

 private:
  policy::Policy policy_;
  Digest source_, canonical_;
};

}  // namespace saw::control
