// Raw secrets, kept sealed; only saw-egress of its owner's workspaces ever gets one in the clear. A secret
// belongs to whoever put it: no policy of somebody else can have it injected.
//
//   SAW_TRY(secrets.put(caller, "github-token", std::move(value)));    // again: a new version (rotation,
//   R57) std::optional<std::string> value = SAW_TRY(secrets.reveal(owner, "github-token"));
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/plane.h"

namespace saw::control {

class Secrets {
 public:
  static constexpr size_t kMaxBytes = 64u << 10, kMaxPerOwner = 256;

  Secrets(Plane& plane,
          std::move_only_function<void(const std::string& owner, std::string_view name)> on_change)
      : plane_(plane), on_change_(std::move(on_change)) {}

  Result<SecretView> put(const Caller& caller, const std::string& name, std::string value);
  Result<> remove(const Caller& caller, const std::string& name);
  Result<std::vector<SecretView>> list(const Caller& caller) const;
  Result<std::optional<std::string>> reveal(const std::string& owner, const std::string& name) const;
  Result<bool> exists(const std::string& owner, const std::string& name) const;

 private:
  void record(const Caller& caller, const std::string& name, std::string_view verb,
              audit::ApiActivity::Activity activity);

  Plane& plane_;
  std::move_only_function<void(const std::string& owner, std::string_view name)> on_change_;
};

// The environment variable in which a sandbox finds the placeholder: "github-token" → "GITHUB_TOKEN".
std::string secret_variable(std::string_view secret);

}  // namespace saw::control
