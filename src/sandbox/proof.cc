#include "sandbox/proof.h"

#include <set>

#include <nlohmann/json.hpp>

#include "base/bytes.h"

namespace saw::sandbox {
namespace {

using Json = nlohmann::json;  // its objects are sorted by name

constexpr std::string_view kStatementType = "saw.proof/v1";
constexpr std::string_view kDepths[] = {"workspace", "session", "call"};
constexpr std::string_view kOccasions[] = {"start", "again"};
constexpr int kMaxDepth = 6;

// DSSE v1, "Signature Definition".
std::string pre_authentication(std::string_view type, std::string_view body) {
  return fmt::format("DSSEv1 {} {} {} {}", type.size(), type, body.size(), body);
}

std::unexpected<Error> malformed(std::string_view what) {
  return Error::make("proof.malformed", "a proof with {}", what);
}

Result<Json> parse(std::string_view text) {
  std::vector<std::set<std::string>> names;
  bool fine = text.size() <= kMaxSealedProof && !text.contains('\0');
  auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    fine = fine && depth <= kMaxDepth;
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key)
      fine = fine && names.back().insert(parsed.get<std::string>()).second;
    return fine;
  };
  if (!fine) return malformed("too much in it");
  Json json = Json::parse(text, check, /*allow_exceptions=*/false);
  if (!fine || !json.is_object()) return malformed("no JSON object");
  return json;
}

// Empty when it is missing or no string: no member of a proof that is needed is ever empty.
std::string text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

template <class Enum, size_t n>
bool choose(const std::string& name, const std::string_view (&names)[n], Enum& out) {
  for (size_t i = 0; i < n; ++i)
    if (names[i] == name) return out = static_cast<Enum>(i), true;
  return false;
}

std::string statement(const Proof& proof) {
  Json probes = Json::array();
  for (const Proof::Entry& entry : proof.probes)
    probes.push_back({{"id", entry.probe}, {"ok", true}, {"seen", entry.seen}});
  Json out = {
      {"_type", kStatementType},
      {"depth", kDepths[static_cast<size_t>(proof.depth)]},
      {"node", proof.node},
      {"not_applicable", proof.not_applicable},
      {"occasion", kOccasions[static_cast<size_t>(proof.occasion)]},
      {"plan_digest", proof.plan_digest},
      {"probes", std::move(probes)},
      {"sandbox", proof.sandbox},
      {"session", proof.session},
      {"summary", fmt::format("{} of {} probes as expected", proof.probes.size(), proof.probes.size())},
      {"time", rfc3339(proof.time)},
      {"time_ns", proof.time},
      {"workspace", proof.workspace}};
  return out.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Result<Proof> read_statement(std::string_view body) {
  const Json json = SAW_TRY(parse(body));
  Proof out{.node = text(json, "node"),
            .workspace = text(json, "workspace"),
            .session = text(json, "session"),
            .sandbox = text(json, "sandbox"),
            .plan_digest = text(json, "plan_digest")};
  const Json time = json.value("time_ns", Json()), probes = json.value("probes", Json()),
             skipped = json.value("not_applicable", Json());
  if (text(json, "_type") != kStatementType || !choose(text(json, "depth"), kDepths, out.depth) ||
      !choose(text(json, "occasion"), kOccasions, out.occasion) || !time.is_number_integer() ||
      !probes.is_array() || !skipped.is_array())
    return malformed("members missing");
  out.time = time.get<Nanos>();
  for (const Json& probe : probes) {
    if (!probe.is_object() || probe.value("ok", Json()) != Json(true))
      return malformed("a probe that failed");
    out.probes.push_back({text(probe, "id"), text(probe, "seen")});
  }
  for (const Json& name : skipped) {
    if (!name.is_string()) return malformed("a probe without a name");
    out.not_applicable.push_back(name.get<std::string>());
  }
  return out;
}

}  // namespace

void fill_probes(Proof& proof, const ProbeSubject& subject, const std::vector<ProbeOutcome>& outcomes) {
  for (const ProbeOutcome& outcome : outcomes)
    proof.probes.push_back({std::string(probe_list()[outcome.probe].id), text_of(outcome)});
  for (const Probe& probe : probe_list())
    if (!applies(probe, subject)) proof.not_applicable.emplace_back(probe.id);
}

std::string seal(const Proof& proof, const SigningKey& key) {
  const std::string body = statement(proof);
  const Json envelope = {{"payload", to_base64(body)},
                         {"payloadType", kProofType},
                         {"signatures",
                          {{{"keyid", digest_text(sha256(key.public_key()))},
                            {"sig", to_base64(key.sign(pre_authentication(kProofType, body)))}}}}};
  return envelope.dump();
}

Result<Proof> open_sealed(std::string_view sealed, std::string_view public_key) {
  const Json envelope = SAW_TRY(parse(sealed));
  const auto body = from_base64(text(envelope, "payload"));
  const Json signatures = envelope.value("signatures", Json());
  if (!body || text(envelope, "payloadType") != kProofType || !signatures.is_array() ||
      signatures.size() != 1 || !signatures[0].is_object())
    return malformed("an envelope that is none");
  const auto signature = from_base64(text(signatures[0], "sig"));
  if (!signature || !verify_signature(public_key, pre_authentication(kProofType, *body), *signature))
    return Error::make("proof.signature", "a proof that the node's key did not sign");
  return read_statement(*body);
}

}  // namespace saw::sandbox
