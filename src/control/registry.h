// The store as identity::resolve() wants it. What cannot be read is absent, so it is refused.
#pragma once

#include <functional>

#include "identity/identity.h"
#include "store/store.h"

namespace saw::control {

class StoreRegistry final : public identity::Registry {
 public:
  using FindWorkspace = std::function<std::optional<identity::WorkspaceRef>(std::string_view id)>;
  StoreRegistry(store::Store& store, FindWorkspace find_workspace)
      : store_(store), find_workspace_(std::move(find_workspace)) {}

  std::optional<identity::Registration> agent(std::string_view id) const override;
  std::optional<identity::Sponsor> sponsor(std::string_view id) const override;
  std::optional<identity::WorkspaceRef> workspace(std::string_view id) const override {
    return find_workspace_(id);
  }
  bool is_revoked(std::string_view credential_id) const override;

 private:
  store::Store& store_;
  FindWorkspace find_workspace_;
};

}  // namespace saw::control
