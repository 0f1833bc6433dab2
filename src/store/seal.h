// Authenticated encryption of secrets at rest: XChaCha20-Poly1305 (libsodium), a random nonce each time.
//
//   Sealer sealer = SAW_TRY(Sealer::open(keys + "/secrets.key"));     // made at first use, mode 0600
//   std::string stored = sealer.seal("ghp_…", "secret/uid:1000/github-token");
//   Result<std::string> secret = sealer.unseal(stored, "secret/uid:1000/github-token");
//
// The context is authenticated: a sealed value that somebody moves to another name or owner does not open
// ("store.unseal").
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace saw::store {

class Sealer {
 public:
  static Result<Sealer> open(const std::string& key_file);
  explicit Sealer(std::string key);  // 32 bytes
  Sealer(Sealer&&) noexcept = default;
  ~Sealer();

  std::string seal(std::string_view secret, std::string_view context) const;
  Result<std::string> unseal(std::string_view sealed, std::string_view context) const;

 private:
  std::string key_;
};

}  // namespace saw::store
