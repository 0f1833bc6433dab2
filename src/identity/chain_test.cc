#include "identity/chain.h"

#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "identity/identity.h"
#include "identity/jws.h"

namespace saw::identity {
namespace {

using enum ActionClass;
using Json = nlohmann::json;

constexpr int64_t kNow = 1'795'489'200;

struct Records final : DelegationSource {
  std::multimap<std::string, std::string, std::less<>> all;
  std::vector<std::string> records(std::string_view id) const override {
    std::vector<std::string> out;
    for (auto [at, end] = all.equal_range(id); at != end; ++at) out.push_back(at->second);
    return out;
  }
};

Delegation root_of(const std::string& id) {
  return {.id = id,
          .issuer = "uid:1000",
          .parent = {},
          .user = "uid:1000",
          .sponsor = "uid:1000",
          .workspace = "ws-1",
          .agent = "ag-1",
          .task = "fix the build",
          .grants = {{{execute, read, change}, {"*"}, {"/workspace/**"}}},
          .issued = kNow,
          .not_before = kNow,
          .expires = kNow + 3600,
          .calls = 10,
          .depth = 4,
          .revocation = "delegation/" + id,
          .audit = "trace"};
}

struct Rig {
  SigningKey key = std::move(*SigningKey::from_seed(std::string(32, 's')));
  Records source;

  std::string digest(const std::string& id) const { return digest_text(sha256(source.all.find(id)->second)); }
  void put(const Delegation& d) {
    source.all.erase(d.id);
    source.all.emplace(d.id, seal(d, key));
  }
  Delegation child_of(const Delegation& parent, const std::string& id) const {
    Delegation d = parent;
    d.id = id;
    d.parent = {parent.id, digest(parent.id)};
    d.issuer = parent.agent;
    d.agent = parent.agent + "/" + id;
    d.depth = parent.depth - 1;
    d.revocation = "delegation/" + id;
    return d;
  }
  // dg-0 … dg-(n-1), each the child of the one before.
  void build(size_t links) {
    Delegation d = root_of("dg-0");
    put(d);
    for (size_t i = 1; i < links; ++i) put(d = child_of(d, fmt::format("dg-{}", i)));
  }
  Delegation at(const std::string& id) const {
    return *open_delegation(source.all.find(id)->second, key.public_key());
  }
  std::string code(const std::string& leaf) const {
    auto chain = resolve_chain(leaf, source, key.public_key());
    return chain ? "ok" : chain.error().code;
  }
};

TEST(Chain, leads_from_the_leaf_to_the_sponsor) {
  Rig rig;
  rig.build(4);
  auto chain = resolve_chain("dg-3", rig.source, rig.key.public_key());
  ASSERT_TRUE(chain) << chain.error().message;
  EXPECT_EQ((*chain)->links().size(), 4u);
  EXPECT_EQ((*chain)->leaf().agent, "ag-1/dg-1/dg-2/dg-3");
  EXPECT_EQ((*chain)->root().id, "dg-0");
  EXPECT_EQ((*chain)->actors(),
            (std::vector<std::string>{"ag-1/dg-1/dg-2", "ag-1/dg-1", "ag-1", "uid:1000"}));
}

// Each a change to one link of a chain of three, properly signed unless it says otherwise.
TEST(Chain, each_defect_is_refused_for_a_reason_of_its_own) {
  using Change = void (*)(Rig&, Delegation& root, Delegation& middle, Delegation& leaf);
  const std::pair<const char*, Change> table[] = {
      {"ok", [](Rig&, Delegation&, Delegation&, Delegation&) {}},
      {"identity.delegation_issuer",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.issuer = "ag-2"; }},
      {"identity.delegation_issuer", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.agent = "ag-9"; }},
      {"ok", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.issuer = "uid:1000", l.agent = "ag-9"; }},
      {"identity.delegation_identity",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.user = "uid:2"; }},
      {"identity.delegation_identity",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.workspace = "ws-2"; }},
      {"identity.delegation_identity",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.sponsor = "uid:2"; }},
      {"identity.delegation_time", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.expires += 1; }},
      {"identity.delegation_time",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.issued -= 1, l.not_before -= 1; }},
      {"identity.delegation_time", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.issued -= 1; }},
      {"identity.delegation_calls", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.calls = 11; }},
      {"identity.delegation_calls", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.calls = 0; }},
      {"identity.delegation_depth", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.depth = 3; }},
      {"identity.delegation_approval",
       [](Rig&, Delegation&, Delegation& m, Delegation&) { m.approval = Approval::every; }},
      {"identity.delegation_widens",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.grants[0].resources = {"/**"}; }},
      {"identity.delegation_widens",
       [](Rig&, Delegation&, Delegation& m, Delegation&) { m.grants[0].actions = {execute, read}; }},
      {"identity.delegation_root", [](Rig&, Delegation& r, Delegation&, Delegation&) { r.issuer = "ag-7"; }},
      {"identity.delegation_root", [](Rig&, Delegation& r, Delegation&, Delegation&) { r.agent = "ag-1/x"; }},
      {"identity.delegation_malformed",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.revocation = "delegation/dg-0"; }},
      {"identity.delegation_malformed", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.task = ""; }},
      {"identity.delegation_malformed", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.audit = ""; }},
      {"identity.delegation_malformed",
       [](Rig&, Delegation&, Delegation&, Delegation& l) { l.expires = l.not_before; }},
      {"identity.scope", [](Rig&, Delegation&, Delegation&, Delegation& l) { l.grants[0].tools = {"["}; }},
  };
  for (const auto& [expected, change] : table) {
    Rig rig;
    rig.build(3);
    Delegation root = rig.at("dg-0"), middle = rig.at("dg-1"), leaf = rig.at("dg-2");
    change(rig, root, middle, leaf);
    rig.put(root);
    middle.parent.digest = rig.digest("dg-0");
    rig.put(middle);
    leaf.parent.digest = rig.digest("dg-1");
    rig.put(leaf);
    EXPECT_EQ(rig.code("dg-2"), expected);
  }
}

TEST(Chain, unresolvable_cyclic_and_ambiguous_chains_fail_closed) {  // R33
  Rig rig;
  rig.build(3);
  EXPECT_EQ(rig.code("dg-9"), "identity.delegation_unknown");
  {
    Rig cut = std::move(rig);
    cut.source.all.erase("dg-0");
    EXPECT_EQ(cut.code("dg-2"), "identity.delegation_truncated");
  }
  Rig cycle;
  cycle.build(3);
  Delegation root = cycle.at("dg-0");
  root.parent = {"dg-2", cycle.digest("dg-2")};
  cycle.put(root);
  Delegation middle = cycle.at("dg-1");
  middle.parent.digest = cycle.digest("dg-0");
  cycle.put(middle);
  Delegation leaf = cycle.at("dg-2");
  leaf.parent.digest = cycle.digest("dg-1");
  cycle.put(leaf);
  EXPECT_EQ(cycle.code("dg-2"), "identity.delegation_cycle");

  Rig twice;
  twice.build(2);
  Delegation other = twice.at("dg-0");
  other.task = "another";
  twice.source.all.emplace("dg-0", seal(other, twice.key));
  EXPECT_EQ(twice.code("dg-1"), "identity.delegation_ambiguous");

  Rig misfiled;
  misfiled.build(2);
  misfiled.source.all.emplace("dg-7", misfiled.source.all.find("dg-1")->second);
  EXPECT_EQ(misfiled.code("dg-7"), "identity.delegation_ambiguous");
}

TEST(Chain, a_parent_that_was_exchanged_is_a_splice) {
  Rig rig;
  rig.build(3);
  Delegation wider = rig.at("dg-1");
  wider.task = "something else";
  rig.put(wider);
  EXPECT_EQ(rig.code("dg-1"), "ok") << "good by itself";
  EXPECT_EQ(rig.code("dg-2"), "identity.delegation_splice");
}

TEST(Chain, another_signer_signs_in_vain) {
  Rig rig;
  rig.build(2);
  const SigningKey other = SigningKey::generate();
  Delegation leaf = rig.at("dg-1");
  rig.source.all.erase("dg-1");
  rig.source.all.emplace("dg-1", seal(leaf, other));
  EXPECT_EQ(rig.code("dg-1"), "identity.delegation_signature");
  // A credential of the right key is no delegation.
  rig.source.all.erase("dg-1");
  rig.source.all.emplace("dg-1",
                         mint(rig.key, {.agent = "ag-1", .call = "c"}, kNow * kSecond, kSecond).token);
  EXPECT_EQ(rig.code("dg-1"), "identity.delegation_malformed");
}

TEST(Chain, depth_and_size_are_bounded) {
  Rig rig;
  Delegation d = root_of("dg-0");
  d.depth = kMaxDelegationDepth - 1;
  rig.put(d);
  for (size_t i = 1; i < kMaxDelegationDepth; ++i) rig.put(d = rig.child_of(d, fmt::format("dg-{}", i)));
  EXPECT_EQ(rig.code(fmt::format("dg-{}", kMaxDelegationDepth - 1)), "ok");
  Delegation one_more = rig.child_of(d, "dg-x");
  one_more.depth = 0;
  rig.put(one_more);
  EXPECT_EQ(rig.code("dg-x"), "identity.delegation_too_deep");
  Rig fat;
  Delegation big = root_of("dg-0");
  big.grants[0].resources.assign(Scope::kMaxResources, "/" + std::string(1000, 'x'));
  fat.put(big);
  EXPECT_EQ(fat.code("dg-0"), "identity.delegation_malformed") << "a record has a size, too";
}

TEST(Delegation, every_member_is_required_and_no_other_is_taken) {
  Rig rig;
  rig.build(1);
  const JwsKind kind{
      .type = "saw-delegation+jws", .prefix = "identity.delegation_", .noun = "delegation", .most = 16384};
  const Json whole = Json::parse(*open_jws(kind, rig.key.public_key(), rig.source.all.find("dg-0")->second));
  auto opens = [&](const Json& j) {
    return open_delegation(seal_jws(kind, rig.key, j.dump()), rig.key.public_key()).has_value();
  };
  EXPECT_TRUE(opens(whole));
  for (const auto& [name, value] : whole.items()) {
    Json less = whole, wrong = whole;
    less.erase(name);
    wrong[name] = Json::array({1});
    EXPECT_FALSE(opens(less)) << name;
    EXPECT_FALSE(opens(wrong)) << name;
  }
  Json more = whole;
  more["admin"] = true;
  EXPECT_FALSE(opens(more));
  Json later = whole;
  later["v"] = 2;
  EXPECT_FALSE(opens(later)) << "a version that is not known";
}

// ---- never a widening

struct Random {
  std::mt19937 engine{20261124};
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine); }
  bool coin() { return below(2) == 0; }
  template <class T, size_t n> const T& one(const T (&of)[n]) { return of[below(n)]; }

  Grant grant() {
    static const char* const tools[] = {"a", "b", "*", "a*", "?", "[ab]"};
    static const char* const resources[] = {"/x", "/x/*", "/x/**", "/*", "/**", "/x/y", "/[xz]/*", "/*/y"};
    Grant g{.labels = static_cast<Labels>(below(kAllLabels + 1))};
    for (ActionClass action : {execute, read, change})
      if (coin()) g.actions.push_back(action);
    if (g.actions.empty()) g.actions = {read};
    for (size_t i = 0; i <= below(2); ++i) g.tools.emplace_back(one(tools));
    for (size_t i = 0; i <= below(2); ++i) g.resources.emplace_back(one(resources));
    return g;
  }
};

// A hundred thousand random chains over random scopes: whatever the checks let through permits nothing at its
// leaf that any link above does not permit, in no respect; whatever they call a widening is one.
TEST(Chain, a_hundred_thousand_random_chains_never_widen) {
  constexpr size_t kScopes = 60, kChains = 100'000, kProbes = 8;
  Random random;
  std::vector<Scope> scopes;
  while (scopes.size() < kScopes) {
    std::vector<Grant> grants;
    for (size_t i = 0; i <= random.below(2); ++i) grants.push_back(random.grant());
    scopes.push_back(*Scope::create(grants));
  }
  static const char* const tools[] = {"a", "b", "c", "ab"};
  static const char* const places[] = {"/x", "/x/y", "/x/z", "/y", "/z/y", "/x/y/z", "/"};
  const ActionClass actions[] = {execute, read, change, remove};
  std::map<std::pair<size_t, size_t>, bool> known;  // deciding is dear, chains are many
  auto is_within = [&](size_t child, size_t parent) {
    auto [at, fresh] = known.try_emplace({child, parent});
    if (fresh) at->second = !scopes[child].excess_over(scopes[parent]).value();
    return at->second;
  };
  size_t accepted = 0, deep = 0;
  for (size_t n = 0; n < kChains; ++n) {
    std::vector<size_t> links{random.below(kScopes)};
    for (size_t depth = 0; depth < 3; ++depth) {
      const size_t next = random.coin() ? links.back() : random.below(kScopes);
      if (is_within(next, links.back())) links.push_back(next);
    }
    accepted += links.size() > 1;
    deep += std::set(links.begin(), links.end()).size() > 1;
    for (size_t probe = 0; probe < kProbes; ++probe) {
      const Action action{actions[random.below(4)], random.one(tools), random.one(places),
                          static_cast<Labels>(random.below(4))};
      if (!scopes[links.back()].permits(action)) continue;
      for (size_t link : links) ASSERT_TRUE(scopes[link].permits(action)) << action.tool << action.resource;
    }
  }
  EXPECT_GT(accepted, kChains / 2);
  EXPECT_GT(deep, kChains / 50) << "the test would prove nothing if all links were equal";
  // Exhaustively, for every pair: "not within" has an example, "within" has none.
  for (size_t child = 0; child < kScopes; ++child)
    for (size_t parent = 0; parent < kScopes; ++parent) {
      bool counterexample = false;
      for (ActionClass action : actions)
        for (const char* tool : tools)
          for (const char* place : places)
            for (Labels labels = 0; labels <= kAllLabels; ++labels) {
              const Action a{action, tool, place, labels};
              counterexample |= scopes[child].permits(a) && !scopes[parent].permits(a);
            }
      if (is_within(child, parent)) {
        ASSERT_FALSE(counterexample) << child << " " << parent;
      }
    }
}

TEST(Chain, random_bounds_never_grow_along_a_signed_chain) {
  Random random;
  size_t accepted = 0;
  for (size_t n = 0; n < 500; ++n) {
    Rig rig;
    Delegation parent = root_of("dg-0");
    rig.put(parent);
    Delegation child = rig.child_of(parent, "dg-1");
    child.expires += static_cast<int64_t>(random.below(5)) - 2;
    child.not_before += static_cast<int64_t>(random.below(3));
    child.calls = random.below(13);
    child.depth = 1 + random.below(4);
    child.approval = static_cast<Approval>(random.below(3));
    rig.put(child);
    if (rig.code("dg-1") != "ok") continue;
    ++accepted;
    EXPECT_LE(child.expires, parent.expires);
    EXPECT_TRUE(child.calls >= 1 && child.calls <= parent.calls);
    EXPECT_LT(child.depth, parent.depth);
  }
  EXPECT_GT(accepted, 50u);
}

}  // namespace
}  // namespace saw::identity
