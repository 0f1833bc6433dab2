#include "identity/identity.h"

#include <map>
#include <memory>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/bytes.h"
#include "identity/fake_registry_test.h"

namespace saw::identity {
namespace {

using Json = nlohmann::json;

constexpr Nanos kNow = 1'795'489'200 * kSecond + 500 * kMillisecond;
constexpr std::string_view kChannel = "sb-1";

struct NoDelegations final : DelegationSource {
  std::vector<std::string> records(std::string_view) const override { return {}; }
};

struct Rig {
  SigningKey key = std::move(*SigningKey::from_seed(std::string(32, 's')));
  FakeRegistry registry;
  NoDelegations delegations;
  CredentialRequest request{.issuer = "node-1",
                            .agent = "ag-1",
                            .sponsor = "uid:1000",
                            .workspace = "ws-1",
                            .session = "s-1",
                            .call = "c-1",
                            .channel = std::string(kChannel),
                            .policy_digest = "sha256:00",
                            .agent_version = 3};
  Rig() {
    registry.agents["ag-1"] = {.id = "ag-1",
                               .name = "coder",
                               .sponsor = "uid:1000",
                               .purpose = "code",
                               .version = 3,
                               .state = AgentState::active};
    registry.sponsors["uid:1000"] = {.id = "uid:1000"};
    registry.sponsors["uid:2000"] = {.id = "uid:2000"};
    registry.workspaces["ws-1"] = {.id = "ws-1", .owner = "uid:1000"};
  }
  Result<Authority> resolve(std::string_view token, std::string_view channel, Nanos now) const {
    return Resolver(key.public_key(), registry, delegations).resolve(token, channel, now);
  }
  Minted minted() const { return mint(key, request, kNow, kMaxCredentialTtl); }
  std::string code(std::string_view token, Nanos now = kNow, std::string_view channel = kChannel) const {
    auto authority = resolve(token, channel, now);
    return authority ? "ok" : authority.error().code;
  }
  std::string code() const { return code(minted().token); }

  // A token with this header and these claims, properly signed by the right key.
  std::string signed_token(const std::string& header, const std::string& claims) const {
    std::string part = to_base64url(header) + "." + to_base64url(claims);
    return part + "." + to_base64url(key.sign(part));
  }
};

struct Parts {
  std::string header, claims, signature;
};
Parts parts(const std::string& token) {
  size_t a = token.find('.'), b = token.rfind('.');
  return {*from_base64url(token.substr(0, a)), *from_base64url(token.substr(a + 1, b - a - 1)),
          *from_base64url(token.substr(b + 1))};
}

TEST(Credential, resolves_to_the_authority_it_was_minted_for) {
  Rig rig;
  Minted m = rig.minted();
  auto a = rig.resolve(m.token, kChannel, kNow);
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_EQ(a->credential_id, m.id);
  EXPECT_EQ(a->agent, "ag-1");
  EXPECT_EQ(a->agent_name, "coder");
  EXPECT_EQ(a->sponsor, "uid:1000");
  EXPECT_EQ(a->workspace, "ws-1");
  EXPECT_EQ(a->session, "s-1");
  EXPECT_EQ(a->call, "c-1");
  EXPECT_EQ(a->policy_digest, "sha256:00");
  EXPECT_EQ(a->expires, m.expires);
}

TEST(Credential, each_missing_link_is_a_denial_of_its_own) {
  const std::pair<const char*, void (*)(Rig&)> table[] = {
      {"identity.agent_unknown", [](Rig& r) { r.registry.agents.clear(); }},
      {"identity.agent_pending", [](Rig& r) { r.registry.agents["ag-1"].state = AgentState::pending; }},
      {"identity.agent_suspended", [](Rig& r) { r.registry.agents["ag-1"].state = AgentState::suspended; }},
      {"identity.agent_revoked", [](Rig& r) { r.registry.agents["ag-1"].state = AgentState::revoked; }},
      {"identity.agent_expired", [](Rig& r) { r.registry.agents["ag-1"].expires = kNow; }},
      {"identity.agent_version", [](Rig& r) { r.registry.agents["ag-1"].version = 4; }},
      {"identity.agent_version", [](Rig& r) { r.registry.agents["ag-1"].version = 2; }},
      {"identity.sponsor_unknown", [](Rig& r) { r.registry.sponsors.erase("uid:1000"); }},
      {"identity.sponsor_disabled", [](Rig& r) { r.registry.sponsors["uid:1000"].enabled = false; }},
      {"identity.sponsor_mismatch", [](Rig& r) { r.registry.agents["ag-1"].sponsor = "uid:2000"; }},
      {"identity.sponsor_mismatch", [](Rig& r) { r.request.sponsor = "uid:2000"; }},
      {"identity.workspace_unknown", [](Rig& r) { r.registry.workspaces.clear(); }},
      {"identity.workspace_owner", [](Rig& r) { r.registry.workspaces["ws-1"].owner = "uid:2000"; }},
      {"identity.channel", [](Rig& r) { r.request.channel = "sb-2"; }},
      {"identity.malformed", [](Rig& r) { r.request.agent = ""; }},
      {"identity.malformed", [](Rig& r) { r.request.sponsor = ""; }},
      {"identity.malformed", [](Rig& r) { r.request.workspace = ""; }},
      {"identity.malformed", [](Rig& r) { r.request.call = ""; }},
      {"identity.malformed", [](Rig& r) { r.request.channel = ""; }},
      {"ok", [](Rig& r) { r.registry.agents["ag-1"].expires = kNow + 1; }},
      {"ok", [](Rig& r) { r.request.session = ""; }},
      {"ok", [](Rig&) {}},
  };
  for (const auto& [expected, change] : table) {
    Rig rig;
    change(rig);
    EXPECT_EQ(rig.code(), expected);
  }
}

TEST(Credential, a_revoked_one_is_refused_and_its_sibling_is_not) {
  Rig rig;
  Minted one = rig.minted(), two = rig.minted();
  EXPECT_NE(one.id, two.id);
  rig.registry.revoked.insert({Revocable::credential, one.id});
  EXPECT_EQ(rig.code(one.token), "identity.revoked");
  EXPECT_EQ(rig.code(two.token), "ok");
}

TEST(Credential, another_channel_cannot_use_it) {
  Rig rig;
  Minted m = rig.minted();
  EXPECT_EQ(rig.code(m.token, kNow, "sb-2"), "identity.channel");
  EXPECT_EQ(rig.code(m.token, kNow, ""), "identity.channel");
  EXPECT_EQ(rig.code(m.token, kNow, kChannel), "ok");
}

TEST(Credential, lives_from_its_second_to_its_expiry_and_no_longer_than_declared) {
  Rig rig;
  Minted m = mint(rig.key, rig.request, kNow, 10 * kSecond);
  EXPECT_EQ(rig.code(m.token, kNow), "ok");
  EXPECT_EQ(rig.code(m.token, m.expires - 1), "ok");
  EXPECT_EQ(rig.code(m.token, m.expires), "identity.expired");
  EXPECT_EQ(rig.code(m.token, kNow - kSecond), "identity.not_yet_valid");
  for (Nanos ttl :
       {Nanos{0}, Nanos{1}, 10 * kSecond, 60 * kSecond, 3600 * kSecond, INT64_MAX / 2, -kSecond}) {
    Minted other = mint(rig.key, rig.request, kNow, ttl);
    EXPECT_LE(other.expires - kNow, kMaxCredentialTtl);
    EXPECT_EQ(rig.code(other.token), "ok") << ttl;
  }
}

TEST(Credential, one_that_claims_a_long_life_is_refused_though_signed) {
  Rig rig;
  Parts p = parts(rig.minted().token);
  Json claims = Json::parse(p.claims);
  const int64_t nbf = claims["nbf"];
  claims["exp"] = nbf + 61;
  EXPECT_EQ(rig.code(rig.signed_token(p.header, claims.dump())), "identity.too_long_lived");
  claims["exp"] = nbf + 60;
  EXPECT_EQ(rig.code(rig.signed_token(p.header, claims.dump())), "ok");
}

// Claims that do not mean one thing only, each signed with the right key.
TEST(Credential, ambiguous_claims_are_malformed) {
  Rig rig;
  Parts p = parts(rig.minted().token);
  EXPECT_EQ(rig.code(rig.signed_token(p.header, p.claims)), "ok") << "the benign twin";
  const std::pair<const char*, const char*> replacements[] = {
      {"\"agent\":\"ag-1\"", "\"agent\":\"ag-1\",\"agent\":\"ag-2\""},        // named twice
      {"\"agent\":\"ag-1\"", "\"agent\":\"ag-1\",\"\\u0061gent\":\"ag-2\""},  // … in another spelling
      {"\"sub\":\"uid:1000\"", "\"sub\":\"uid:1000\",\"act\":{\"sub\":\"uid:2000\"}"},
      {"\"sub\":\"uid:1000\"", "\"sub\":\"uid:1000\",\"sub\":\"uid:1000\""},
      {"\"agent\":\"ag-1\"", "\"agent\":[\"ag-1\"]"},
      {"\"agent\":\"ag-1\"", "\"agent\":null"},
      {"\"agent\":\"ag-1\"", "\"admin\":true,\"agent\":\"ag-1\""},
      {"\"agent_version\":3", "\"agent_version\":3.0"},
      {"\"agent_version\":3", "\"agent_version\":-3"},
      {"\"agent_version\":3", "\"agent_version\":\"3\""},
      {"\"exp\":", "\"exp\":1e3,\"x\":"},
      {"\"cnf\":{\"channel\":\"sb-1\"}", "\"cnf\":\"sb-1\""},
      {"\"cnf\":{\"channel\":\"sb-1\"},", ""},
  };
  for (const auto& [from, to] : replacements) {
    std::string claims = p.claims;
    const size_t at = claims.find(from);
    ASSERT_NE(at, claims.npos) << from;
    claims.replace(at, std::string_view(from).size(), to);
    EXPECT_EQ(rig.code(rig.signed_token(p.header, claims)), "identity.malformed") << claims;
  }
  for (const std::string& claims : {std::string(), std::string("null"), std::string("[]"), std::string("{}"),
                                    p.claims + " {}", p.claims.substr(1), p.claims + std::string(1, '\0'),
                                    std::string(3000, '['), "{\"a\":\"\xff\"}" + std::string()})
    EXPECT_EQ(rig.code(rig.signed_token(p.header, claims)), "identity.malformed") << claims;
}

TEST(Credential, every_claim_is_required) {
  Rig rig;
  Parts p = parts(rig.minted().token);
  const Json whole = Json::parse(p.claims);
  for (const auto& [name, value] : whole.items()) {
    Json less = whole;
    less.erase(name);
    EXPECT_EQ(rig.code(rig.signed_token(p.header, less.dump())), "identity.malformed") << name;
    if (!value.is_object()) continue;
    for (const auto& [inner, unused] : value.items()) {
      Json inner_less = whole;
      inner_less[name].erase(inner);
      EXPECT_EQ(rig.code(rig.signed_token(p.header, inner_less.dump())), "identity.malformed")
          << name << "." << inner;
    }
  }
}

std::string hmac_sha256(const std::string& key, const std::string& text) {
  unsigned char out[32];
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &length);
  return {reinterpret_cast<const char*>(out), length};
}

TEST(Credential, the_header_cannot_choose_how_it_is_verified) {
  Rig rig;
  Parts p = parts(rig.minted().token);
  const std::string kid = Json::parse(p.header)["kid"];
  auto unsigned_token = [&](const std::string& header, const std::string& signature) {
    return to_base64url(header) + "." + to_base64url(p.claims) + "." + to_base64url(signature);
  };
  auto with = [&](const char* name, const Json& value) {
    Json h = Json::parse(p.header);
    h[name] = value;
    return h.dump();
  };
  for (const char* alg : {"none", "None", "NONE", "nOnE", "", "ES256", "RS256", "HS256", "eddsa", "EdDSA "}) {
    EXPECT_EQ(rig.code(unsigned_token(with("alg", alg), "")), "identity.alg") << alg;
    EXPECT_EQ(rig.code(rig.signed_token(with("alg", alg), p.claims)), "identity.alg") << alg;
  }
  // The classic confusion: HMAC keyed with the public key.
  std::string hs = to_base64url(with("alg", "HS256")) + "." + to_base64url(p.claims);
  EXPECT_EQ(rig.code(hs + "." + to_base64url(hmac_sha256(rig.key.public_key(), hs))), "identity.alg");
  std::string ed = to_base64url(p.header) + "." + to_base64url(p.claims);
  EXPECT_EQ(rig.code(ed + "." + to_base64url(hmac_sha256(rig.key.public_key(), ed))), "identity.signature");
  EXPECT_EQ(rig.code(ed + "."), "identity.signature");

  const std::pair<std::string, const char*> headers[] = {
      {with("kid", "other"), "identity.signature"},
      {with("kid", "../../dev/null"), "identity.signature"},
      {with("kid", Json::array({kid})), "identity.malformed"},
      {with("jwk", {{"kty", "OKP"}}), "identity.malformed"},
      {with("jku", "https://evil.example/keys"), "identity.malformed"},
      {with("crit", Json::array()), "identity.malformed"},
      {with("typ", "JWT"), "identity.malformed"},
      {with("alg", nullptr), "identity.malformed"},
      {"{\"alg\":\"none\",\"alg\":\"EdDSA\",\"typ\":\"saw-runtime+jwt\",\"kid\":\"" + kid + "\"}",
       "identity.malformed"},
      {"{}", "identity.malformed"},
      {"", "identity.malformed"},
      {p.header, "ok"},
  };
  for (const auto& [header, expected] : headers)
    EXPECT_EQ(rig.code(rig.signed_token(header, p.claims)), expected) << header;
}

TEST(Credential, another_key_signs_in_vain) {
  Rig rig;
  SigningKey other = SigningKey::generate();
  EXPECT_EQ(rig.code(mint(other, rig.request, kNow, kMinute).token), "identity.signature");
  // … even when it names the right key.
  Parts p = parts(rig.minted().token);
  std::string part = to_base64url(p.header) + "." + to_base64url(p.claims);
  EXPECT_EQ(rig.code(part + "." + to_base64url(other.sign(part))), "identity.signature");
}

TEST(Credential, any_single_bit_flip_is_refused) {
  Rig rig;
  const std::string token = rig.minted().token;
  ASSERT_EQ(rig.code(token), "ok");
  for (size_t i = 0; i < token.size() * 8; ++i) {
    std::string flipped = token;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    ASSERT_NE(rig.code(flipped), "ok") << "bit " << i;
  }
}

TEST(Credential, no_other_spelling_of_a_token_is_taken) {
  Rig rig;
  const std::string t = rig.minted().token;
  const size_t dot = t.find('.');
  for (const std::string& other :
       {t + "=", t + "==", t + ".", t + " ", " " + t, "." + t, t.substr(0, dot) + "=" + t.substr(dot),
        t + "\n", t + t, t.substr(0, t.size() - 1), t.substr(0, t.rfind('.')), std::string(),
        std::string(".."), std::string("."), std::string(5000, 'a'), t + std::string(1, '\0'), "Bearer " + t})
    EXPECT_EQ(rig.code(other), "identity.malformed") << other;
  EXPECT_EQ(rig.code(t), "ok");
}

TEST(Credential, no_message_repeats_the_token) {
  Rig rig;
  const std::string token = rig.minted().token;
  for (const std::string& t : {token, token + "x"}) {
    auto refused = rig.resolve(t, "elsewhere", kNow);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message.find(token.substr(0, 20)), std::string::npos);
    EXPECT_EQ(refused.error().message.find(token.substr(token.size() - 20)), std::string::npos);
  }
}

TEST(AgentState, names_are_read_back) {
  for (AgentState s : {AgentState::pending, AgentState::active, AgentState::suspended, AgentState::revoked})
    EXPECT_EQ(parse_agent_state(name(s)), s);
  EXPECT_FALSE(parse_agent_state("Active"));
  EXPECT_FALSE(parse_agent_state(""));
}

}  // namespace
}  // namespace saw::identity
