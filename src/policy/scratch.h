// What deciding writes on, kept from one decision to the next; for one thread.
//
//   Policy::Scratch scratch;
//   while (…) act(policy.decide(request, scratch));   // the Decision is good until the next call
#pragma once

#include "policy/policy.h"
#include "policy/target.h"

namespace saw::policy {

struct Policy::Scratch {
  Decision decision;
  Target target;
  Readings readings;
};

}  // namespace saw::policy
