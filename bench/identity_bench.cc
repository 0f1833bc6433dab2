// Minting a runtime credential and resolving it, in µs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "identity/identity.h"

namespace {

using namespace saw;
using namespace saw::identity;
using Steady = std::chrono::steady_clock;

struct OneOfEach final : Registry {
  std::optional<Registration> agent(std::string_view id) const override {
    return Registration{
        .id = std::string(id), .name = "coder", .sponsor = "uid:1000", .state = AgentState::active};
  }
  std::optional<Sponsor> sponsor(std::string_view id) const override {
    return Sponsor{.id = std::string(id)};
  }
  std::optional<WorkspaceRef> workspace(std::string_view id) const override {
    return WorkspaceRef{.id = std::string(id), .owner = "uid:1000"};
  }
  bool is_revoked(std::string_view) const override { return false; }
};

template <class F> void measure(const char* name, F work) {
  constexpr size_t kRounds = 5'000;
  std::vector<double> us;
  for (size_t i = 0; i < kRounds; ++i) {
    auto start = Steady::now();
    work();
    us.push_back(std::chrono::duration<double, std::micro>(Steady::now() - start).count());
  }
  std::ranges::sort(us);
  std::printf("%-10s p50 %6.1f  p95 %6.1f  p99 %6.1f µs   n %zu\n", name, us[kRounds / 2],
              us[kRounds * 95 / 100], us[kRounds * 99 / 100], kRounds);
}

}  // namespace

int main() {
  const SigningKey key = SigningKey::generate();
  const OneOfEach registry;
  const Nanos now = SystemClock().now();
  const CredentialRequest request{.issuer = "node-1",
                                  .agent = "ag-1",
                                  .sponsor = "uid:1000",
                                  .workspace = "ws-1",
                                  .session = "s-1",
                                  .call = "c-1",
                                  .channel = "sb-1",
                                  .policy_digest = "sha256:00"};
  const Minted minted = mint(key, request, now, kMaxCredentialTtl);
  bool ok = true;
  measure("mint", [&] { ok = ok && !mint(key, request, now, kMaxCredentialTtl).token.empty(); });
  measure("resolve",
          [&] { ok = ok && resolve(minted.token, key.public_key(), registry, "sb-1", now).has_value(); });
  return ok ? 0 : 1;
}
