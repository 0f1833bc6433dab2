// Credentials under delegations: which link failed, and what a revocation ends.
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "identity/fake_registry_test.h"
#include "identity/jws.h"

namespace saw::identity {
namespace {

using enum ActionClass;

constexpr int64_t kSeconds = 1'795'489'200;
constexpr Nanos kNow = kSeconds * kSecond;

struct World final : FakeRegistry, DelegationSource {
  std::map<std::string, std::string, std::less<>> delegations;

  std::vector<std::string> records(std::string_view id) const override {
    auto record = find(delegations, id);
    return record ? std::vector{*record} : std::vector<std::string>();
  }
};

// Agent ag-1 holds dg-0; its sub-agent ag-1/a holds dg-1, and ag-1/a/b dg-2.
struct Rig {
  SigningKey key = std::move(*SigningKey::from_seed(std::string(32, 's')));
  World world;
  Resolver resolver{key.public_key(), world, world};

  Rig() {
    world.agents["ag-1"] = {
        .id = "ag-1", .name = "coder", .sponsor = "uid:1000", .state = AgentState::active};
    world.sponsors["uid:1000"] = {.id = "uid:1000"};
    world.workspaces["ws-1"] = {.id = "ws-1", .owner = "uid:1000"};
    Delegation d{.id = "dg-0",
                 .issuer = "uid:1000",
                 .parent = {},
                 .user = "uid:1000",
                 .sponsor = "uid:1000",
                 .workspace = "ws-1",
                 .agent = "ag-1",
                 .task = "fix the build",
                 .grants = {{{execute, read}, {"make", "git"}, {"/workspace/**"}}},
                 .issued = kSeconds,
                 .not_before = kSeconds,
                 .expires = kSeconds + 3600,
                 .depth = 3,
                 .revocation = "delegation/dg-0",
                 .audit = "trace"};
    put(d);
    for (const char* sub : {"a", "b"}) {
      const std::string above = d.id;
      d.parent = {above, digest_text(sha256(world.delegations[above]))};
      d.issuer = d.agent;
      d.agent += fmt::format("/{}", sub);
      d.id = *sub == 'a' ? "dg-1" : "dg-2";
      d.revocation = "delegation/" + d.id;
      --d.depth;
      d.expires -= 600;
      if (*sub == 'b') d.grants[0].tools = {"make"};
      put(d);
    }
  }
  void put(const Delegation& d) { world.delegations[d.id] = seal(d, key); }
  CredentialRequest request(const char* delegation = "dg-2") {
    CredentialRequest r{.issuer = "node-1",
                        .agent = "ag-1/a/b",
                        .sponsor = "uid:1000",
                        .workspace = "ws-1",
                        .session = {},
                        .call = "c-1",
                        .channel = "sb-1",
                        .policy_digest = "sha256:00"};
    delegate(r, **resolver.chain(delegation));
    return r;
  }
  Minted minted() { return mint(key, request(), kNow, kMaxCredentialTtl); }
  std::string code(std::string_view token, Nanos now = kNow, std::string_view channel = "sb-1") {
    auto authority = resolver.resolve(token, channel, now);
    return authority ? "ok" : authority.error().code;
  }
};

TEST(Resolver, a_delegated_credential_carries_the_whole_chain) {
  Rig rig;
  auto authority = rig.resolver.resolve(rig.minted().token, "sb-1", kNow);
  ASSERT_TRUE(authority) << authority.error().message;
  EXPECT_EQ(authority->agent, "ag-1/a/b");
  EXPECT_EQ(authority->agent_name, "coder/a/b");
  EXPECT_EQ(authority->sponsor, "uid:1000");
  ASSERT_TRUE(authority->chain);
  EXPECT_EQ(authority->chain->links().size(), 3u);
  EXPECT_TRUE(authority->check({execute, "make", "/workspace/src"}));
  EXPECT_EQ(authority->check({execute, "git", "/workspace"}).error().code, "identity.not_delegated")
      << "its maker may, it may not";
  EXPECT_EQ(authority->check({change, "make", "/workspace"}).error().code, "identity.not_delegated");
}

// R23: delete each link in turn; each refusal says which one is missing.
TEST(Resolver, says_which_link_failed) {
  const std::pair<const char*, void (*)(Rig&)> table[] = {
      {"ok", [](Rig&) {}},
      {"identity.agent_unknown", [](Rig& r) { r.world.agents.clear(); }},
      {"identity.agent_suspended", [](Rig& r) { r.world.agents["ag-1"].state = AgentState::suspended; }},
      {"identity.agent_version", [](Rig& r) { r.world.agents["ag-1"].version = 2; }},
      {"identity.sponsor_unknown", [](Rig& r) { r.world.sponsors.clear(); }},
      {"identity.sponsor_disabled", [](Rig& r) { r.world.sponsors["uid:1000"].enabled = false; }},
      {"identity.workspace_unknown", [](Rig& r) { r.world.workspaces.clear(); }},
      {"identity.workspace_owner", [](Rig& r) { r.world.workspaces["ws-1"].owner = "uid:2"; }},
      {"identity.call_over", [](Rig& r) { r.world.over.insert("c-1"); }},
      {"identity.agent_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::agent, "ag-1"); }},
      {"identity.agent_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::agent, "ag-1/a"); }},
      {"identity.agent_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::agent, "ag-1/a/b"); }},
      {"ok", [](Rig& r) { r.world.revoked.emplace(Revocable::agent, "ag-1/c"); }},
      {"identity.delegation_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::delegation, "dg-0"); }},
      {"identity.delegation_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::delegation, "dg-1"); }},
      {"identity.delegation_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::delegation, "dg-2"); }},
      {"ok", [](Rig& r) { r.world.revoked.emplace(Revocable::delegation, "dg-3"); }},
      {"identity.sponsor_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::sponsor, "uid:1000"); }},
      {"identity.user_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::user, "uid:1000"); }},
      {"identity.workspace_revoked", [](Rig& r) { r.world.revoked.emplace(Revocable::workspace, "ws-1"); }},
      {"identity.key_revoked",
       [](Rig& r) { r.world.revoked.emplace(Revocable::key, key_id(r.key.public_key())); }},
  };
  for (const auto& [expected, change] : table) {
    Rig rig;
    const std::string token = rig.minted().token;
    ASSERT_EQ(rig.code(token), "ok");
    auto before = *rig.resolver.resolve(token, "sb-1", kNow);
    change(rig);
    EXPECT_EQ(rig.code(token), expected) << "though it was remembered as good";
    if (std::string_view(expected) == "identity.agent_version") continue;
    auto again = rig.resolver.check_again(before, kNow);
    EXPECT_EQ(again ? "ok" : again.error().code, expected);
  }
  Rig rig;
  const Minted m = rig.minted();
  rig.code(m.token);
  rig.world.revoked.emplace(Revocable::credential, m.id);
  EXPECT_EQ(rig.code(m.token), "identity.revoked");
}

TEST(Resolver, a_chain_that_changed_under_a_credential_is_refused) {
  for (const char* gone : {"dg-0", "dg-1", "dg-2"}) {
    Rig rig;
    const std::string token = rig.minted().token;
    rig.world.delegations.erase(gone);
    rig.world.revoked.emplace(Revocable::key, "another");  // nothing remembered is believed
    EXPECT_EQ(rig.code(token),
              *gone && gone[3] == '2' ? "identity.delegation_unknown" : "identity.delegation_truncated");
  }
  Rig rig;
  const std::string token = rig.minted().token;
  Delegation other = *open_delegation(rig.world.delegations["dg-2"], rig.key.public_key());
  other.task = "another task";
  rig.put(other);
  rig.world.revoked.emplace(Revocable::key, "another");
  EXPECT_EQ(rig.code(token), "identity.delegation_changed");
}

TEST(Resolver, a_credential_that_does_not_fit_its_delegation_is_refused) {
  Rig rig;
  auto code_of = [&](void (*change)(CredentialRequest&)) {
    CredentialRequest r = rig.request();
    change(r);
    return rig.code(mint(rig.key, r, kNow, kMaxCredentialTtl).token);
  };
  EXPECT_EQ(code_of([](CredentialRequest&) {}), "ok");
  EXPECT_EQ(code_of([](CredentialRequest& r) { r.agent = "ag-1"; }), "identity.delegation_mismatch");
  EXPECT_EQ(code_of([](CredentialRequest& r) { r.workspace = "ws-2"; }), "identity.delegation_mismatch");
  EXPECT_EQ(code_of([](CredentialRequest& r) { r.actors.erase(r.actors.begin()); }),
            "identity.delegation_mismatch");
  EXPECT_EQ(code_of([](CredentialRequest& r) { r.actors.front() = "ag-2"; }), "identity.delegation_mismatch");
  EXPECT_EQ(code_of([](CredentialRequest& r) { r.delegation = "dg-1"; }), "identity.delegation_changed");
  EXPECT_EQ(code_of([](CredentialRequest& r) {
              r.delegation.clear(), r.delegation_digest.clear(), r.actors.clear();
            }),
            "identity.delegation_missing")
      << "a sub-agent has no standing authority";
}

TEST(Resolver, no_credential_outlives_what_it_was_delegated) {
  Rig rig;
  const int64_t end = kSeconds + 3600 - 1200;  // of dg-2
  const Nanos late = (end - 5) * kSecond;
  const Minted m = mint(rig.key, rig.request(), late, kMaxCredentialTtl);
  EXPECT_EQ(m.expires, end * kSecond);
  EXPECT_EQ(rig.code(m.token, late), "ok");
  EXPECT_EQ(rig.code(m.token, end * kSecond), "identity.expired");
  CredentialRequest longer = rig.request();
  longer.no_later = 0;
  EXPECT_EQ(rig.code(mint(rig.key, longer, late, kMaxCredentialTtl).token, late),
            "identity.outlives_delegation");
}

TEST(Resolver, a_copy_is_useless_elsewhere_and_after_its_call) {  // R21, R22
  Rig rig;
  const std::string token = rig.minted().token;
  EXPECT_EQ(rig.code(token, kNow, "sb-2"), "identity.channel") << "another sandbox";
  EXPECT_EQ(rig.code(token, kNow, ""), "identity.channel") << "the host, which is no sandbox";
  EXPECT_EQ(rig.code(token), "ok");
  rig.world.over.insert("c-1");
  EXPECT_EQ(rig.code(token), "identity.call_over");
}

TEST(Resolver, remembers_no_more_than_its_bound) {
  Rig rig;
  CredentialRequest r = rig.request();
  for (size_t i = 0; i < Resolver::kMaxRemembered + 10; ++i) {
    r.call = fmt::format("c-{}", i);
    ASSERT_EQ(rig.code(mint(rig.key, r, kNow, kMaxCredentialTtl).token), "ok");
    if (i == 20) i = Resolver::kMaxRemembered - 20;  // signing all of them would take a second
  }
}

// R35: ten thousand calls of which any part is under way when the revocation is acknowledged; whatever is asked
// afterwards is refused, though each credential had been resolved before.
TEST(Resolver, after_a_revocation_not_one_of_ten_thousand_calls_succeeds) {
  constexpr size_t kCalls = 10'000, kTokens = 100;
  const std::pair<Revocable, std::string> kinds[] = {
      {Revocable::sponsor, "uid:1000"}, {Revocable::agent, "ag-1/a"},  {Revocable::delegation, "dg-1"},
      {Revocable::workspace, "ws-1"},   {Revocable::user, "uid:1000"},
  };
  std::mt19937 random(7);
  for (const auto& revoked : kinds) {
    Rig rig;
    std::vector<std::string> tokens;
    CredentialRequest r = rig.request();
    for (size_t i = 0; i < kTokens; ++i) {
      r.call = fmt::format("c-{}", i);
      tokens.push_back(mint(rig.key, r, kNow, kMaxCredentialTtl).token);
    }
    const size_t acknowledged = 1000 + random() % (kCalls - 2000);
    size_t before = 0, after = 0;
    for (size_t call = 0; call < kCalls; ++call) {
      if (call == acknowledged) rig.world.revoked.insert(revoked);
      const bool good = rig.code(tokens[random() % kTokens]) == "ok";
      (call < acknowledged ? before : after) += good;
    }
    EXPECT_EQ(before, acknowledged);
    EXPECT_EQ(after, 0u) << name(revoked.first);
  }
}

}  // namespace
}  // namespace saw::identity
