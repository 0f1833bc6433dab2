// Compact JWS (RFC 7515) signed with EdDSA (RFC 8037), in the one form that SAW writes: header {alg, kid, typ},
// `alg` pinned, `typ` explicit (RFC 8725 §3.11), so that no kind of statement is taken for another.
//
//   std::string token = seal_jws({"saw-runtime+jwt"}, key, claims);
//   std::string payload = SAW_TRY(open_jws(kCredential, public_key, token));
#pragma once

#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/result.h"

namespace saw::identity {

struct JwsKind {
  std::string_view type;    // `typ`
  std::string_view prefix;  // of codes: "identity." or "identity.delegation_"
  std::string_view noun;    // "credential"
  size_t most = 4096;       // bytes of a token
};

std::string key_id(std::string_view public_key);
std::string seal_jws(const JwsKind& kind, const SigningKey& key, std::string_view payload);
// The payload, behind a good signature. Codes: prefix + "malformed", "alg", "signature".
Result<std::string> open_jws(const JwsKind& kind, std::string_view public_key, std::string_view token);
// The public key as a JWK set (RFC 7517, RFC 8037 §2).
std::string jwks(std::string_view public_key);

}  // namespace saw::identity
