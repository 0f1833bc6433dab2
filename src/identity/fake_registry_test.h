// What the tests of identity share: a registry on plain maps.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "identity/identity.h"

namespace saw::identity {

struct FakeRegistry : Registry {
  std::map<std::string, Registration, std::less<>> agents;
  std::map<std::string, Sponsor, std::less<>> sponsors;
  std::map<std::string, WorkspaceRef, std::less<>> workspaces;
  std::set<std::pair<Revocable, std::string>> revoked;
  std::set<std::string, std::less<>> over;

  template <class T>
  static std::optional<T> find(const std::map<std::string, T, std::less<>>& map, std::string_view id) {
    auto it = map.find(id);
    return it == map.end() ? std::nullopt : std::optional(it->second);
  }
  std::optional<Registration> agent(std::string_view id) const override { return find(agents, id); }
  std::optional<Sponsor> sponsor(std::string_view id) const override { return find(sponsors, id); }
  std::optional<WorkspaceRef> workspace(std::string_view id) const override { return find(workspaces, id); }
  bool is_revoked(Revocable what, std::string_view id) const override {
    return revoked.contains({what, std::string(id)});
  }
  uint64_t epoch() const override { return revoked.size(); }
  bool is_live(std::string_view call) const override { return !over.contains(call); }
};

}  // namespace saw::identity
