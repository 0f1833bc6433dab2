// How the values of one named key decide whether a rule holds (docs/policy.md, "Judging a request"): it must be present, and in an
// allow rule all its values match; in a review or deny rule one matching value suffices (docs/decisions/0014).
#pragma once

#include "policy/policy.h"

namespace saw::policy {

class Tally {
 public:
  explicit Tally(Effect effect) : any_suffices_(effect != Effect::allow) {}
  void value(bool matches) { (matches ? matching_ : other_) = true; }
  bool holds() const { return matching_ && (any_suffices_ || !other_); }

 private:
  bool any_suffices_, matching_ = false, other_ = false;
};

}  // namespace saw::policy
