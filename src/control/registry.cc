#include "control/registry.h"

namespace saw::control {

std::optional<identity::Registration> StoreRegistry::agent(std::string_view id) const {
  auto found = store_.agent(id);
  if (!found || !*found) return std::nullopt;
  const store::Agent& a = **found;
  auto state = identity::parse_agent_state(a.state);
  if (!state) return std::nullopt;
  return identity::Registration{.id = a.id,
                                .name = a.name,
                                .sponsor = a.sponsor,
                                .purpose = a.purpose,
                                .version = a.version,
                                .state = *state,
                                .expires = a.expires};
}

std::optional<identity::Sponsor> StoreRegistry::sponsor(std::string_view id) const {
  auto found = store_.sponsor(id);
  if (!found || !*found) return std::nullopt;
  return identity::Sponsor{.id = (*found)->id, .enabled = (*found)->enabled};
}

std::vector<std::string> StoreRegistry::records(std::string_view id) const {
  auto found = store_.delegation(id);
  if (!found || !*found) return {};
  return {std::move((*found)->record)};
}

}  // namespace saw::control
