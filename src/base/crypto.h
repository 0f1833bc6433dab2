// The few cryptographic operations that SAW builds on, all by OpenSSL 3 (EVP): SHA-256 (FIPS 180-4), Ed25519 (RFC 8032),
// and the kernel's random numbers. No algorithm is implemented here.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace saw {

// 32 raw bytes.
using Digest = std::array<unsigned char, 32>;

Digest sha256(std::string_view data);
// Of the concatenation of the parts, without building it.
Digest sha256(std::initializer_list<std::string_view> parts);
inline std::string_view view(const Digest& d) {
  return {reinterpret_cast<const char*>(d.data()), d.size()};
}
// Of data that comes in pieces:  Sha256 hash; hash.add(a); hash.add(b); Digest d = std::move(hash).finish();
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  ~Sha256();
  void add(std::string_view data);
  Digest finish() &&;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
std::string digest_text(const Digest& d);  // "sha256:<64 hex digits>"

// `size` bytes from getrandom(2). Never fails once the kernel's pool is ready.
std::string random_bytes(size_t size);
// A fresh identifier: `prefix` and 20 lower-case base-32 characters (100 random bits), safe in file names and host names.
std::string random_id(std::string_view prefix);

// A comparison whose time depends on the lengths only.
bool constant_time_equal(std::string_view a, std::string_view b);

// An Ed25519 key pair; the secret half is wiped when the object goes.
class SigningKey {
 public:
  static SigningKey generate();
  static Result<SigningKey> from_seed(std::string_view seed);  // 32 bytes
  SigningKey(SigningKey&&) noexcept = default;
  SigningKey& operator=(SigningKey&&) noexcept = default;
  ~SigningKey();

  const std::string& seed() const { return seed_; }              // 32 bytes, secret
  const std::string& public_key() const { return public_key_; }  // 32 bytes
  std::string sign(std::string_view message) const;              // 64 bytes

 private:
  SigningKey(std::string seed, std::string public_key)
      : seed_(std::move(seed)), public_key_(std::move(public_key)) {}
  std::string seed_, public_key_;
};

bool verify_signature(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace saw
