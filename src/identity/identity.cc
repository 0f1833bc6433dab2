#include "identity/identity.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/strict_json.h"

namespace saw::identity {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kType = "saw-runtime+jwt", kAlgorithm = "EdDSA";
constexpr size_t kMaxToken = 4096, kMaxClaim = 256;
constexpr int64_t kMaxSeconds = 253'402'300'799;  // the year 9999

std::string key_id(std::string_view public_key) {
  return to_base64url(view(sha256(public_key)).substr(0, 12));
}

std::string header(std::string_view public_key) {
  return Json{{"alg", kAlgorithm}, {"typ", kType}, {"kid", key_id(public_key)}}.dump();
}

std::unexpected<Error> refuse(std::string_view code, std::string message) {
  return std::unexpected(Error{"identity." + std::string(code), std::move(message), 0});
}

// What a credential claims.
struct Claims {
  CredentialRequest who;
  std::string id;
  int64_t not_before = 0, expires = 0;  // seconds
};

// Members of a JSON object by name and type; every one is required, and no other may be there.
class Members {
 public:
  explicit Members(const Json& object) : object_(object), complete_(object.is_object()) {}

  Members& text(const char* name, std::string& out) {
    const Json* value = take(name);
    if (value && value->is_string() && value->get_ref<const std::string&>().size() <= kMaxClaim)
      out = value->get<std::string>();
    else
      complete_ = false;
    return *this;
  }
  Members& number(const char* name, uint64_t& out) {
    const Json* value = take(name);
    if (value && value->is_number_unsigned())
      out = value->get<uint64_t>();
    else
      complete_ = false;
    return *this;
  }
  Members& seconds(const char* name, int64_t& out) {
    uint64_t value = 0;
    number(name, value);
    if (value > static_cast<uint64_t>(kMaxSeconds))
      complete_ = false;
    else
      out = static_cast<int64_t>(value);
    return *this;
  }
  Members object(const char* name) {
    const Json* value = take(name);
    if (!value || !value->is_object()) complete_ = false;
    static const Json kNone;
    return Members(value ? *value : kNone);
  }
  bool complete() const { return complete_ && object_.size() == taken_; }

 private:
  const Json* take(const char* name) {
    if (!object_.is_object()) return nullptr;
    auto it = object_.find(name);
    if (it == object_.end()) return nullptr;
    ++taken_;
    return &*it;
  }

  const Json& object_;
  size_t taken_ = 0;
  bool complete_;
};

std::string claims_text(const CredentialRequest& r, const std::string& id, int64_t issued, int64_t expires) {
  return Json{{"iss", r.issuer},
              {"sub", r.agent},
              {"act", {{"sub", r.sponsor}}},
              {"cnf", {{"channel", r.channel}}},
              {"jti", id},
              {"iat", issued},
              {"nbf", issued},
              {"exp", expires},
              {"saw",
               {{"workspace", r.workspace},
                {"session", r.session},
                {"call", r.call},
                {"agent_version", r.agent_version},
                {"policy_digest", r.policy_digest}}}}
      .dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::optional<Claims> parse_claims(std::string_view text) {
  if (!is_strict_json_object(text)) return {};
  const Json j = Json::parse(text, nullptr, false);
  Claims c;
  int64_t issued = 0;
  Members all(j);
  all.text("iss", c.who.issuer).text("sub", c.who.agent).text("jti", c.id);
  all.seconds("iat", issued).seconds("nbf", c.not_before).seconds("exp", c.expires);
  const bool act = all.object("act").text("sub", c.who.sponsor).complete();
  const bool cnf = all.object("cnf").text("channel", c.who.channel).complete();
  const bool saw = all.object("saw")
                       .text("workspace", c.who.workspace)
                       .text("session", c.who.session)
                       .text("call", c.who.call)
                       .number("agent_version", c.who.agent_version)
                       .text("policy_digest", c.who.policy_digest)
                       .complete();
  if (!act || !cnf || !saw || !all.complete()) return {};
  const std::string* const needed[] = {&c.who.agent,     &c.who.sponsor, &c.who.channel,
                                       &c.who.workspace, &c.who.call,    &c.id};
  if (std::ranges::any_of(needed, [](const std::string* s) { return s->empty(); })) return {};
  if (issued != c.not_before || c.expires < c.not_before) return {};
  return c;
}

// The header decides nothing: it must be the one that this key's credentials have.
Result<> check_header(std::string_view text, std::string_view public_key) {
  if (!is_strict_json_object(text)) return refuse("malformed", "the credential's header is not strict JSON");
  const Json j = Json::parse(text, nullptr, false);
  auto alg = j.find("alg");
  if (alg == j.end() || !alg->is_string()) return refuse("malformed", "the credential names no algorithm");
  if (*alg != kAlgorithm) return refuse("alg", "the credential's algorithm is not EdDSA");
  std::string algorithm, type, kid;
  if (!Members(j).text("alg", algorithm).text("typ", type).text("kid", kid).complete() || type != kType)
    return refuse("malformed", "the credential's header is not that of a runtime credential");
  if (kid != key_id(public_key)) return refuse("signature", "the credential is signed by another key");
  return {};
}

Result<Claims> open(std::string_view token, std::string_view public_key) {
  const size_t first = token.find('.'), second = token.find('.', first == token.npos ? first : first + 1);
  if (token.size() > kMaxToken || second == token.npos || token.find('.', second + 1) != token.npos)
    return refuse("malformed", "the credential is not a JWT");
  auto head = from_base64url(token.substr(0, first));
  auto body = from_base64url(token.substr(first + 1, second - first - 1));
  auto signature = from_base64url(token.substr(second + 1));
  if (!head || !body || !signature) return refuse("malformed", "the credential is not base64url");
  SAW_TRY(check_header(*head, public_key));
  if (!verify_signature(public_key, token.substr(0, second), *signature))
    return refuse("signature", "the credential's signature is not valid");
  auto claims = parse_claims(*body);
  if (!claims) return refuse("malformed", "the credential's claims are not those of a runtime credential");
  return *claims;
}

Result<> check_use(const Claims& c, const Registry& registry, std::string_view channel, Nanos now) {
  if (c.expires - c.not_before > kMaxCredentialTtl / kSecond)
    return refuse("too_long_lived", fmt::format("credential {} would live longer than {} s", c.id,
                                                kMaxCredentialTtl / kSecond));
  if (now < c.not_before * kSecond)
    return refuse("not_yet_valid", fmt::format("credential {} is not valid yet", c.id));
  if (now >= c.expires * kSecond) return refuse("expired", fmt::format("credential {} has expired", c.id));
  if (!constant_time_equal(c.who.channel, channel))
    return refuse("channel", fmt::format("credential {} was minted for another channel", c.id));
  if (registry.is_revoked(c.id)) return refuse("revoked", fmt::format("credential {} is revoked", c.id));
  return {};
}

Result<> check_agent(const Claims& c, const Registration& agent, Nanos now) {
  switch (agent.state) {
    case AgentState::pending:
      return refuse("agent_pending", fmt::format("agent '{}' is not approved yet", agent.name));
    case AgentState::suspended:
      return refuse("agent_suspended", fmt::format("agent '{}' is suspended", agent.name));
    case AgentState::revoked:
      return refuse("agent_revoked", fmt::format("agent '{}' is revoked", agent.name));
    case AgentState::active:
      break;
  }
  if (agent.expires != 0 && now >= agent.expires)
    return refuse("agent_expired", fmt::format("the registration of agent '{}' has expired", agent.name));
  if (c.who.agent_version != agent.version)
    return refuse("agent_version",
                  fmt::format("the credential is for version {} of agent '{}', the registration is at {}",
                              c.who.agent_version, agent.name, agent.version));
  return {};
}

Result<> check_sponsor(const Claims& c, const Registration& agent, const Registry& registry) {
  auto sponsor = registry.sponsor(c.who.sponsor);
  if (!sponsor) return refuse("sponsor_unknown", fmt::format("sponsor '{}' is not known", c.who.sponsor));
  if (!sponsor->enabled)
    return refuse("sponsor_disabled", fmt::format("sponsor '{}' is disabled", c.who.sponsor));
  if (agent.sponsor != c.who.sponsor)
    return refuse("sponsor_mismatch",
                  fmt::format("agent '{}' is not sponsored by '{}'", agent.name, c.who.sponsor));
  return {};
}

Result<> check_workspace(const Claims& c, const Registry& registry) {
  auto workspace = registry.workspace(c.who.workspace);
  if (!workspace)
    return refuse("workspace_unknown", fmt::format("workspace '{}' is not known", c.who.workspace));
  if (workspace->owner != c.who.sponsor)
    return refuse("workspace_owner",
                  fmt::format("workspace '{}' does not belong to '{}'", c.who.workspace, c.who.sponsor));
  return {};
}

constexpr std::array<std::pair<AgentState, std::string_view>, 4> kStates = {
    {{AgentState::pending, "pending"},
     {AgentState::active, "active"},
     {AgentState::suspended, "suspended"},
     {AgentState::revoked, "revoked"}}};

}  // namespace

std::string_view name(AgentState state) {
  for (const auto& [value, text] : kStates)
    if (value == state) return text;
  return "unknown";
}

std::optional<AgentState> parse_agent_state(std::string_view text) {
  for (const auto& [value, known] : kStates)
    if (known == text) return value;
  return {};
}

Minted mint(const SigningKey& key, const CredentialRequest& request, Nanos now, Nanos ttl) {
  const int64_t issued = now / kSecond, longest = issued + kMaxCredentialTtl / kSecond;
  const Nanos life = std::clamp<Nanos>(ttl, 0, kMaxCredentialTtl);
  const int64_t expires =
      std::min(longest, (now + life + kSecond - 1) / kSecond);  // JWT times are whole seconds
  Minted minted{.id = random_id("rc-"), .expires = expires * kSecond};
  std::string signed_part = to_base64url(header(key.public_key())) + "." +
                            to_base64url(claims_text(request, minted.id, issued, expires));
  minted.token = signed_part + "." + to_base64url(key.sign(signed_part));
  return minted;
}

Result<Authority> resolve(std::string_view token, std::string_view public_key, const Registry& registry,
                          std::string_view channel, Nanos now) {
  const Claims c = SAW_TRY(open(token, public_key));
  SAW_TRY(check_use(c, registry, channel, now));
  const auto agent = registry.agent(c.who.agent);
  if (!agent) return refuse("agent_unknown", fmt::format("agent '{}' is not registered", c.who.agent));
  SAW_TRY(check_agent(c, *agent, now));
  SAW_TRY(check_sponsor(c, *agent, registry));
  SAW_TRY(check_workspace(c, registry));
  return Authority{c.id,          agent->id,  agent->name,         c.who.sponsor,      c.who.workspace,
                   c.who.session, c.who.call, c.who.policy_digest, c.expires * kSecond};
}

}  // namespace saw::identity
