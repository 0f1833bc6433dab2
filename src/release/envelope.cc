#include "release/envelope.h"

#include <algorithm>

#include "base/bytes.h"
#include "release/members.h"
#include "release/names.h"

namespace saw::release {
namespace {

bool is_base64(std::string_view text) {
  return from_base64(text).has_value();
}

}  // namespace

std::string pre_authentication(std::string_view type, std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", type.size(), type, payload.size(), payload);
}

Result<Envelope> Envelope::parse(std::string_view text, std::string_view type, std::string_view what) {
  const Json json = SAW_TRY(parse_strict(text, what, kMaxBytes));
  Envelope out;
  out.type = type;
  Members all(json, what);
  all.constant("payloadType", type);
  // Larger than Members takes as text: looked at here.
  const Json payload = json.value("payload", Json());
  const auto decoded =
      payload.is_string() ? from_base64(payload.get_ref<const std::string&>()) : std::nullopt;
  const Json* signatures = all.list("signatures", kMaxSignatures);
  all.skip("payload");
  SAW_TRY(all.complete());
  if (!decoded) return Error::make("release.malformed", "{}: 'payload' must be base64", what);
  out.payload = *decoded;
  for (const Json& item : *signatures) {
    Members one(item, what);
    Signature signature;
    std::string bytes;
    one.text("keyid", signature.key_id, is_digest).text("sig", bytes, is_base64);
    SAW_TRY(one.complete());
    signature.bytes = *from_base64(bytes);
    out.signatures.push_back(std::move(signature));
  }
  return out;
}

std::string Envelope::text() const {
  Json list = Json::array();
  for (const Signature& s : signatures) list.push_back({{"keyid", s.key_id}, {"sig", to_base64(s.bytes)}});
  return Json{{"payloadType", type}, {"payload", to_base64(payload)}, {"signatures", std::move(list)}}.dump(
             2) +
         "\n";
}

void Envelope::sign(const PrivateKey& key) {
  signatures.push_back({key.public_key().id(), key.sign(pre_authentication(type, payload))});
}

Result<Voices> check_signatures(const Envelope& envelope, const SignatureRules& rules) {
  if (envelope.signatures.empty()) return Error::make("release.unsigned", "nobody has signed it");
  const std::string signed_bytes = pre_authentication(envelope.type, envelope.payload);
  Voices voices;
  for (const Signature& s : envelope.signatures) {
    const TrustedKey* key = rules.trust.key(s.key_id);
    if (!key) return Error::make("release.unknown_key", "the trust file has no key {}", s.key_id);
    if (std::ranges::find(voices, key) != voices.end())
      return Error::make("release.same_signer_twice", "'{}' has signed twice", key->name);
    if (!rules.allowed.contains(s.key_id))
      return Error::make("release.key_not_allowed", "'{}' may not sign this on channel '{}'", key->name,
                         rules.channel);
    if (rules.revoked_keys.contains(s.key_id))
      return Error::make("release.revoked_key", "the key '{}' is revoked", key->name);
    if (!key->key.verify(signed_bytes, s.bytes))
      return Error::make("release.bad_signature", "the signature of '{}' is not of this content", key->name);
    voices.push_back(key);
  }
  return voices;
}

}  // namespace saw::release
