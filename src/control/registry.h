// The store as identity::Resolver wants it. What cannot be read is absent, so it is refused.
#pragma once

#include <functional>

#include "control/revocations.h"
#include "identity/identity.h"
#include "store/store.h"

namespace saw::control {

class StoreRegistry final : public identity::Registry, public identity::DelegationSource {
 public:
  struct Living {
    std::function<std::optional<identity::WorkspaceRef>(std::string_view id)> workspace;
    std::function<bool(std::string_view call)> call;
  };
  StoreRegistry(store::Store& store, const Revocations& revocations, Living living)
      : store_(store), revocations_(revocations), living_(std::move(living)) {}

  std::optional<identity::Registration> agent(std::string_view id) const override;
  std::optional<identity::Sponsor> sponsor(std::string_view id) const override;
  std::optional<identity::WorkspaceRef> workspace(std::string_view id) const override {
    return living_.workspace(id);
  }
  bool is_revoked(identity::Revocable what, std::string_view id) const override {
    return revocations_.contains(what, id);
  }
  uint64_t epoch() const override { return revocations_.epoch(); }
  bool is_live(std::string_view call) const override { return living_.call(call); }
  std::vector<std::string> records(std::string_view id) const override;

 private:
  store::Store& store_;
  const Revocations& revocations_;
  Living living_;
};

}  // namespace saw::control
