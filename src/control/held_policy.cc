#include "control/held_policy.h"

namespace saw::control {

HeldPolicy::HeldPolicy(policy::Policy policy, std::string_view yaml)
    : policy_(std::move(policy)), source_(sha256(yaml)), canonical_(sha256(policy_.canonical())) {}

Result<> HeldPolicy::attest(std::string_view yaml) const {
  if (sha256(yaml) == source_ && policy_.digest() == source_ && sha256(policy_.canonical()) == canonical_)
    return {};
  return Error::make("policy.altered",
                     "the policy in memory is not the one that was loaded: no sandbox is made from it");
}

}  // namespace saw::control
