// Keys that people keep in files: Ed25519 (RFC 8032) and ECDSA on P-256 with SHA-256 (FIPS 186-4), as PKCS#8 and
// SubjectPublicKeyInfo. By OpenSSL 3; for the keys that sawd makes for itself see SigningKey (base/crypto.h).
//
//   auto key = PrivateKey::generate(KeyKind::ed25519);
//   replace_file("ann.key", SAW_TRY(key.to_pem(passphrase)), 0600, Durability::fsync);
//   PublicKey pub = key.public_key();          pub.id()  "sha256:…", over the DER form
//   SAW_CHECK(pub.verify(message, key.sign(message)));
//
// A public key has exactly one accepted DER form (uncompressed point), so that one key has one id.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"

struct evp_pkey_st;

namespace saw {

enum class KeyKind { ed25519, p256 };
std::string_view name(KeyKind);  // "ed25519", "p256"
std::optional<KeyKind> parse_key_kind(std::string_view text);

struct EvpKeyFree {
  void operator()(evp_pkey_st* key) const;
};
using EvpKey = std::unique_ptr<evp_pkey_st, EvpKeyFree>;

class PublicKey {
 public:
  static constexpr size_t kMaxDerBytes = 91, kMaxPemBytes = 4096;

  // SubjectPublicKeyInfo, as it is in a PEM file or base64 on one line. "key.malformed", "key.kind".
  static Result<PublicKey> from_pem(std::string_view pem);
  static Result<PublicKey> from_text(std::string_view base64);
  static Result<PublicKey> from_der(std::string_view der);

  KeyKind kind() const { return kind_; }
  const std::string& der() const { return der_; }
  const std::string& id() const { return id_; }  // "sha256:<64 hex digits>" of the DER form
  std::string text() const;                      // base64 on one line, what from_text() reads
  std::string to_pem() const;
  bool verify(std::string_view message, std::string_view signature) const;
  bool operator==(const PublicKey& other) const { return der_ == other.der_; }

 private:
  friend class PrivateKey;
  PublicKey(KeyKind kind, std::string der, EvpKey key);
  static Result<PublicKey> of(EvpKey key);

  KeyKind kind_;
  std::string der_, id_;
  std::shared_ptr<evp_pkey_st> key_;  // immutable, so that copies of a key may share it
};

class PrivateKey {
 public:
  static constexpr size_t kMaxPemBytes = 8192;

  static PrivateKey generate(KeyKind kind);
  // PKCS#8, encrypted or not. "key.passphrase": there is one and this is not it.
  static Result<PrivateKey> from_pem(std::string_view pem, std::string_view passphrase);

  // PKCS#8; with a passphrase encrypted (PBES2, AES-256-CBC).
  Result<std::string> to_pem(std::string_view passphrase) const;
  const PublicKey& public_key() const { return public_key_; }
  std::string sign(std::string_view message) const;  // 64 bytes, or an ECDSA signature in DER

 private:
  PrivateKey(EvpKey key, PublicKey public_key) : key_(std::move(key)), public_key_(std::move(public_key)) {}

  EvpKey key_;
  PublicKey public_key_;
};

}  // namespace saw
