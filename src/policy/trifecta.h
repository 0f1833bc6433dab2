// The trifecta argument of a policy: which of the three legs an agent under it can have, and why not the others.
//
//   const Trifecta t = trifecta_of(policy);
//   t.legs[0].present                          // private data
//   for (const std::string& line : t.lines())  // "leg a, private data: absent because no file label is private …"
//
// It argues from what the policy says (labels, reach, rules), the same labels that the runtime hands out (R114, R115). What nobody
// labelled counts as neither private nor untrusted, and the argument says so.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace saw::policy {

struct TrifectaLeg {
  char letter = 'a';
  std::string_view what;  // "private data"
  bool present = false;
  std::vector<std::string> because;  // where it comes from, or why it is absent
};

struct Trifecta {
  std::array<TrifectaLeg, 3> legs;
  std::string conclusion;
  std::vector<std::string> lines() const;
};

Trifecta trifecta_of(const Policy& policy);

}  // namespace saw::policy
