// What was taken back, for good: sponsors, users, agents, delegations, credentials, workspaces, keys (R35, R108).
//
//   auto revocations = SAW_TRY(Revocations::load(store));
//   SAW_TRY(revocations.add(plane, identity::Revocable::delegation, "dg-…", {.by = caller.sponsor}));
//   revocations.contains(identity::Revocable::delegation, "dg-…")
//
// add() returns after the store has it on disk, so what was acknowledged is in force after a crash, too.
// epoch() grows with every addition: whoever remembers an answer compares it. Where the store cannot be
// written the revocation is in force all the same, until a restart, and add() says so.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/plane.h"
#include "identity/identity.h"

namespace saw::control {

class Revocations {
 public:
  struct Reason {
    std::string by, why;
  };
  static constexpr size_t kMaxWhy = 500;

  // What a store that cannot be read revokes is not known: an error, and no control plane.
  Result<> load(store::Store& store);
  Result<> add(Plane& plane, identity::Revocable what, std::string_view id, const Reason& reason);
  bool contains(identity::Revocable what, std::string_view id) const;
  uint64_t epoch() const { return epoch_; }

 private:
  static void record(Plane& plane, const store::Revocation& revocation);

  std::set<std::pair<identity::Revocable, std::string>> all_;
  uint64_t epoch_ = 1;
};

}  // namespace saw::control
