// Minting a runtime credential and resolving it, in µs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <vector>

#include <fmt/format.h>

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
  bool is_revoked(Revocable, std::string_view) const override { return false; }
  uint64_t epoch() const override { return 1; }
  bool is_live(std::string_view) const override { return true; }
};

struct Records final : DelegationSource {
  std::map<std::string, std::string, std::less<>> all;
  std::vector<std::string> records(std::string_view id) const override { return {all.find(id)->second}; }
};

// dg-0 … dg-3, each handed on by the agent of the one before.
Records chain_of_four(const SigningKey& key, int64_t now) {
  Records out;
  Delegation d{.issuer = "uid:1000",
               .parent = {},
               .user = "uid:1000",
               .sponsor = "uid:1000",
               .workspace = "ws-1",
               .agent = "ag-1",
               .task = "fix the build",
               .grants = {{{ActionClass::execute, ActionClass::read}, {"make", "git*"}, {"/workspace/**"}}},
               .issued = now,
               .not_before = now,
               .expires = now + 3600,
               .depth = 5,
               .audit = "trace"};
  for (int i = 0; i < 4; ++i) {
    if (i > 0) {
      d.parent = {d.id, digest_text(sha256(out.all[d.id]))};
      d.issuer = d.agent;
      d.agent += fmt::format("/s{}", i);
      --d.depth;
    }
    d.id = fmt::format("dg-{}", i);
    d.revocation = revocation_reference(d.id);
    out.all[d.id] = seal(d, key);
  }
  return out;
}

template <class F> void measure(const char* name, F work) {
  constexpr size_t kRounds = 2'000;
  std::vector<double> us;
  for (size_t i = 0; i < kRounds; ++i) {
    auto start = Steady::now();
    work();
    us.push_back(std::chrono::duration<double, std::micro>(Steady::now() - start).count());
  }
  std::ranges::sort(us);
  std::printf("%-38s p50 %6.1f  p95 %6.1f  p99 %6.1f µs   n %zu\n", name, us[kRounds / 2],
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
  const Records records = chain_of_four(key, now / kSecond);
  Resolver resolver(key.public_key(), registry, records);
  const Minted minted = mint(key, request, now, kMaxCredentialTtl);
  CredentialRequest delegated = request;
  delegated.agent = "ag-1/s1/s2/s3";
  delegate(delegated, **resolver.chain("dg-3"));
  const Minted deep = mint(key, delegated, now, kMaxCredentialTtl);
  bool ok = true;
  measure("mint", [&] { ok = ok && !mint(key, request, now, kMaxCredentialTtl).token.empty(); });
  measure("mint, delegated", [&] { ok = ok && !mint(key, delegated, now, kMaxCredentialTtl).token.empty(); });
  measure("resolve", [&] { ok = ok && resolver.resolve(minted.token, "sb-1", now).has_value(); });
  measure("resolve, depth 4", [&] {
    auto authority = resolver.resolve(deep.token, "sb-1", now);
    ok = ok && authority && authority->chain->links().size() == 4 &&
         authority->check({.action = ActionClass::execute, .tool = "make", .resource = "/workspace/src"});
  });
  measure("resolve, depth 4, nothing remembered", [&] {
    Resolver fresh(key.public_key(), registry, records);
    ok = ok && fresh.resolve(deep.token, "sb-1", now).has_value();
  });
  return ok ? 0 : 1;
}
