// From one delegation up to the sponsor's root: every link signed, bound to the exact record above it, and no
// wider than it. What cannot be followed to the end is refused (R33).
//
//   auto chain = SAW_TRY(resolve_chain("dg-3", source, public_key));
//   chain->leaf(), chain->root(), chain->scope().permits(action)
//
// Distinct reasons: "identity.delegation_unknown", "…_truncated" (a parent is missing), "…_cycle", "…_splice"
// (the parent is another record than the one named), "…_ambiguous" (two records of one id), "…_root",
// "…_too_deep", "…_too_large", and those of open_delegation() and check_narrower(). A chain never changes:
// records are immutable. Whether a link was revoked or is over is asked each time, by resolve().
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "identity/delegation.h"

namespace saw::identity {

class DelegationSource {
 public:
  virtual ~DelegationSource() = default;
  // Every record of that id that there is; more than one is refused.
  virtual std::vector<std::string> records(std::string_view id) const = 0;
};

class Chain {
 public:
  Chain(std::vector<Delegation> links, Scope scope, std::string digest);

  const std::vector<Delegation>& links() const { return links_; }  // from the leaf to the root
  const Delegation& leaf() const { return links_.front(); }
  const Delegation& root() const { return links_.back(); }
  const Scope& scope() const { return scope_; }          // the leaf's; the others contain it
  const std::string& digest() const { return digest_; }  // of the leaf's record, which names the others
  const std::vector<std::string>& actors() const { return actors_; }  // who handed on, nearest first
  Approval approval() const { return leaf().approval; }

 private:
  std::vector<Delegation> links_;
  Scope scope_;
  std::string digest_;
  std::vector<std::string> actors_;
};

Result<std::shared_ptr<const Chain>> resolve_chain(std::string_view id, const DelegationSource& source,
                                                   std::string_view public_key);

}  // namespace saw::identity
