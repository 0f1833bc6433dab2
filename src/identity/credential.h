// The claims of a runtime credential, from and to the bytes that are signed. Inside identity only; callers mint
// and resolve (identity.h).
#pragma once

#include <string>
#include <string_view>

#include "identity/identity.h"

namespace saw::identity {

struct CredentialClaims {
  CredentialRequest who;
  std::string id;
  int64_t not_before = 0, expires = 0;  // seconds
};

// Codes: "identity.malformed", "identity.alg", "identity.signature".
Result<CredentialClaims> open_credential(std::string_view token, std::string_view public_key);

}  // namespace saw::identity
