// A signed document: a DSSE envelope (github.com/secure-systems-lab/dsse, protocol.md), and who of the trusted signed it.
//
//   Envelope e{.type = kReleaseType, .payload = manifest};
//   e.sign(key);  e.sign(another);
//   std::string file = e.text();
//   Voices voices = SAW_TRY(check_signatures(SAW_TRY(Envelope::parse(file, kReleaseType, "signature.sig")), around));
//
// Stricter than DSSE asks: one signature that is not valid, not known or not allowed refuses the whole, because an
// envelope that somebody added to is not the one that was published. The payload is parsed only after this.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "release/trust.h"

namespace saw::release {

constexpr std::string_view kReleaseType = "application/vnd.saw.release+json",
                           kRevocationsType = "application/vnd.saw.revocations+json",
                           kRollbackType = "application/vnd.saw.rollback+json";

struct Signature {
  std::string key_id, bytes;
};

struct Envelope {
  static constexpr size_t kMaxBytes = 1u << 20, kMaxSignatures = 16;

  std::string type, payload;
  std::vector<Signature> signatures;

  static Result<Envelope> parse(std::string_view text, std::string_view type, std::string_view what);
  std::string text() const;
  void sign(const PrivateKey& key);
};

// What is signed (PAE of the protocol).
std::string pre_authentication(std::string_view type, std::string_view payload);

// Those who signed, each once, every signature verified, every key allowed and not revoked.
using Voices = std::vector<const TrustedKey*>;
struct SignatureRules {
  const Trust& trust;
  std::string_view channel;
  const std::set<std::string>& allowed;       // ids
  const std::set<std::string>& revoked_keys;  // ids
};
// "release.unsigned", "release.same_signer_twice", "release.unknown_key", "release.key_not_allowed",
// "release.revoked_key", "release.bad_signature".
Result<Voices> check_signatures(const Envelope& envelope, const SignatureRules& rules);

}  // namespace saw::release
