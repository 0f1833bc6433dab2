#include "identity/credential.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/strict_json.h"
#include "identity/jws.h"
#include "identity/members.h"

namespace saw::identity {
namespace {

using Json = nlohmann::json;

constexpr JwsKind kKind = {.type = "saw-runtime+jwt", .prefix = "identity.", .noun = "credential"};

std::string audience(std::string_view trust_domain) {
  return fmt::format("spiffe://{}/saw/runtime", trust_domain);
}

// {"sub": nearest, "act": {"sub": the one before, …}}
Json act_of(const std::vector<std::string>& actors) {
  Json act;
  for (auto actor = actors.rbegin(); actor != actors.rend(); ++actor) {
    Json outer = {{"sub", *actor}};
    if (!act.is_null()) outer["act"] = std::move(act);
    act = std::move(outer);
  }
  return act;
}

std::string claims_text(const CredentialRequest& r, const std::string& id, int64_t issued, int64_t expires) {
  return Json{{"iss", r.issuer},
              {"sub", spiffe_id(r.issuer, r.workspace, r.agent)},
              {"aud", Json::array({audience(r.issuer)})},
              {"act", act_of(r.actors.empty() ? std::vector{r.sponsor} : r.actors)},
              {"cnf", {{"channel", r.channel}}},
              {"jti", id},
              {"iat", issued},
              {"nbf", issued},
              {"exp", expires},
              {"saw",
               {{"agent", r.agent},
                {"workspace", r.workspace},
                {"session", r.session},
                {"call", r.call},
                {"agent_version", r.agent_version},
                {"policy_digest", r.policy_digest},
                {"delegation", r.delegation},
                {"delegation_digest", r.delegation_digest}}}}
      .dump(-1, ' ', true, Json::error_handler_t::replace);
}

bool read_actors(Members act, std::vector<std::string>& out, const Json& json) {
  if (out.size() == kMaxDelegationDepth) return false;
  std::string& actor = out.emplace_back();
  act.text("sub", actor);
  bool inner = true;
  if (const auto next = json.find("act"); next != json.end())
    inner = read_actors(act.object("act"), out, *next);
  return inner && act.complete() && !out.front().empty();
}

bool whole(const CredentialClaims& c, std::string_view subject, const std::vector<std::string>& audiences) {
  const std::string* const needed[] = {&c.who.agent,     &c.who.sponsor, &c.who.channel,
                                       &c.who.workspace, &c.who.call,    &c.id};
  if (std::ranges::any_of(needed, [](const std::string* s) { return s->empty(); })) return false;
  if (c.who.delegation.empty() && (c.who.actors.size() != 1 || !c.who.delegation_digest.empty()))
    return false;
  return subject == spiffe_id(c.who.issuer, c.who.workspace, c.who.agent) && audiences.size() == 1 &&
         audiences.front() == audience(c.who.issuer);
}

std::optional<CredentialClaims> parse_claims(std::string_view text) {
  if (!is_strict_json_object(text)) return {};
  const Json j = Json::parse(text, nullptr, false);
  CredentialClaims c;
  int64_t issued = 0;
  std::string subject;
  std::vector<std::string> audiences;
  Members all(j);
  all.text("iss", c.who.issuer).text("sub", subject, 4 * Members::kMaxText).text("jti", c.id);
  all.texts("aud", audiences, 1)
      .seconds("iat", issued)
      .seconds("nbf", c.not_before)
      .seconds("exp", c.expires);
  Members outermost = all.object("act");
  const auto act = j.find("act");
  if (act == j.end() || !act->is_object() || !read_actors(outermost, c.who.actors, *act)) return {};
  c.who.sponsor = c.who.actors.back();
  const bool cnf = all.object("cnf").text("channel", c.who.channel).complete();
  const bool saw = all.object("saw")
                       .text("agent", c.who.agent)
                       .text("workspace", c.who.workspace)
                       .text("session", c.who.session)
                       .text("call", c.who.call)
                       .number("agent_version", c.who.agent_version)
                       .text("policy_digest", c.who.policy_digest)
                       .text("delegation", c.who.delegation)
                       .text("delegation_digest", c.who.delegation_digest)
                       .complete();
  if (!cnf || !saw || !all.complete() || !whole(c, subject, audiences)) return {};
  if (issued != c.not_before || c.expires < c.not_before) return {};
  return c;
}

}  // namespace

std::string spiffe_id(std::string_view trust_domain, std::string_view workspace, std::string_view agent) {
  return fmt::format("spiffe://{}/workspace/{}/agent/{}", trust_domain, workspace, agent);
}

void delegate(CredentialRequest& request, const Chain& chain) {
  request.delegation = chain.leaf().id;
  request.delegation_digest = chain.digest();
  request.actors = chain.actors();
  request.no_later = chain.leaf().expires * kSecond;
}

Minted mint(const SigningKey& key, const CredentialRequest& request, Nanos now, Nanos ttl) {
  const int64_t issued = now / kSecond, longest = issued + kMaxCredentialTtl / kSecond;
  const Nanos life = std::clamp<Nanos>(ttl, 0, kMaxCredentialTtl);
  int64_t expires = std::min(longest, (now + life + kSecond - 1) / kSecond);  // JWT times are whole seconds
  if (request.no_later != 0) expires = std::max(issued, std::min(expires, request.no_later / kSecond));
  Minted minted{.id = random_id("rc-"), .expires = expires * kSecond};
  minted.token = seal_jws(kKind, key, claims_text(request, minted.id, issued, expires));
  return minted;
}

Result<CredentialClaims> open_credential(std::string_view token, std::string_view public_key) {
  const std::string payload = SAW_TRY(open_jws(kKind, public_key, token));
  auto claims = parse_claims(payload);
  if (!claims)
    return Error::make("identity.malformed", "the credential's claims are not those of a runtime credential");
  return std::move(*claims);
}

}  // namespace saw::identity
