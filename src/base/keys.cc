#include "base/keys.h"

#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>

#include "base/bytes.h"

namespace saw {
namespace {

constexpr size_t kEd25519DerBytes = 44, kP256DerBytes = 91;
constexpr const char kPublicForm[] = "SubjectPublicKeyInfo";

struct ContextFree {
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(OSSL_ENCODER_CTX* p) const { OSSL_ENCODER_CTX_free(p); }
  void operator()(OSSL_DECODER_CTX* p) const { OSSL_DECODER_CTX_free(p); }
};
template <class T> using Owned = std::unique_ptr<T, ContextFree>;

const unsigned char* bytes(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

// OpenSSL's own buffer, wiped before it is freed: it may hold a secret.
std::string taken(unsigned char* data, size_t size) {
  std::string out(reinterpret_cast<char*>(data), size);
  OPENSSL_clear_free(data, size);
  return out;
}

std::string encoded_public(EVP_PKEY* key, const char* format) {
  const Owned<OSSL_ENCODER_CTX> encoder(
      OSSL_ENCODER_CTX_new_for_pkey(key, EVP_PKEY_PUBLIC_KEY, format, kPublicForm, nullptr));
  unsigned char* data = nullptr;
  size_t size = 0;
  SAW_CHECK(encoder && OSSL_ENCODER_to_data(encoder.get(), &data, &size) == 1);
  return taken(data, size);
}

// What `text` holds in this form and nothing behind it but white space; null if it does not.
EvpKey decoded(std::string_view text, const char* format, const char* structure, int selection,
               std::string_view passphrase) {
  EVP_PKEY* raw = nullptr;
  const Owned<OSSL_DECODER_CTX> decoder(
      OSSL_DECODER_CTX_new_for_pkey(&raw, format, structure, nullptr, selection, nullptr, nullptr));
  // Always set, so that OpenSSL never asks a terminal.
  if (!decoder || OSSL_DECODER_CTX_set_passphrase(decoder.get(), bytes(passphrase), passphrase.size()) != 1)
    return nullptr;
  const unsigned char* at = bytes(text);
  size_t left = text.size();
  const bool read = OSSL_DECODER_from_data(decoder.get(), &at, &left) == 1;
  EvpKey key(raw);
  if (!read) return nullptr;
  const std::string_view rest = text.substr(text.size() - left);
  return rest.find_first_not_of(" \r\n") == std::string_view::npos ? std::move(key) : nullptr;
}

std::optional<KeyKind> kind_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return KeyKind::ed25519;
  char group[32] = {};
  if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
      std::string_view(group) == "prime256v1")
    return KeyKind::p256;
  return {};
}

const EVP_MD* hash_of(KeyKind kind) {
  return kind == KeyKind::p256 ? EVP_sha256() : nullptr;  // Ed25519 hashes by itself
}

}  // namespace

void EvpKeyFree::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

std::string_view name(KeyKind kind) {
  return kind == KeyKind::ed25519 ? "ed25519" : "p256";
}
std::optional<KeyKind> parse_key_kind(std::string_view text) {
  for (const KeyKind kind : {KeyKind::ed25519, KeyKind::p256})
    if (text == name(kind)) return kind;
  return {};
}

PublicKey::PublicKey(KeyKind kind, std::string der, EvpKey key)
    : kind_(kind), der_(std::move(der)), id_(digest_text(sha256(der_))), key_(std::move(key)) {}

Result<PublicKey> PublicKey::of(EvpKey key) {
  if (!key) return Error::make("key.malformed", "this is not a public key (SubjectPublicKeyInfo)");
  const auto kind = kind_of(key.get());
  if (!kind) return Error::make("key.kind", "the key is neither Ed25519 nor ECDSA on P-256");
  std::string der = encoded_public(key.get(), "DER");
  if (der.size() != (*kind == KeyKind::ed25519 ? kEd25519DerBytes : kP256DerBytes))
    return Error::make("key.malformed", "the key's point must be in uncompressed form");
  return PublicKey(*kind, std::move(der), std::move(key));
}

Result<PublicKey> PublicKey::from_der(std::string_view der) {
  if (der.size() > kMaxDerBytes) return Error::make("key.malformed", "a public key has at most 91 bytes");
  PublicKey key = SAW_TRY(of(decoded(der, "DER", kPublicForm, EVP_PKEY_PUBLIC_KEY, "")));
  if (key.der() != der) return Error::make("key.malformed", "the key is not in its one DER form");
  return key;
}

Result<PublicKey> PublicKey::from_text(std::string_view base64) {
  const auto der = from_base64(base64);
  if (!der) return Error::make("key.malformed", "a public key is base64 on one line (of its DER form)");
  return from_der(*der);
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return Error::make("key.malformed", "the file is too large for a key");
  return of(decoded(pem, "PEM", kPublicForm, EVP_PKEY_PUBLIC_KEY, ""));
}

std::string PublicKey::text() const {
  return to_base64(der_);
}
std::string PublicKey::to_pem() const {
  return encoded_public(key_.get(), "PEM");
}

bool PublicKey::verify(std::string_view message, std::string_view signature) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, hash_of(kind_), nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(message),
                          message.size()) == 1;
}

PrivateKey PrivateKey::generate(KeyKind kind) {
  EvpKey key(kind == KeyKind::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                      : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  SAW_CHECK(key != nullptr, "OpenSSL made no key");
  auto pub = PublicKey::from_der(encoded_public(key.get(), "DER"));
  SAW_CHECK(pub.has_value());
  return {std::move(key), std::move(*pub)};
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem, std::string_view passphrase) {
  if (pem.size() > kMaxPemBytes) return Error::make("key.malformed", "the file is too large for a key");
  const bool encrypted = pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----");
  if (encrypted && passphrase.empty())
    return Error::make("key.passphrase", "the key is encrypted: its passphrase is needed");
  EvpKey key = decoded(pem, "PEM", encrypted ? "EncryptedPrivateKeyInfo" : "PrivateKeyInfo", EVP_PKEY_KEYPAIR,
                       passphrase);
  if (!key && encrypted) return Error::make("key.passphrase", "this is not the passphrase of the key");
  if (!key) return Error::make("key.malformed", "this is not a private key (PKCS#8 in PEM)");
  if (!kind_of(key.get())) return Error::make("key.kind", "the key is neither Ed25519 nor ECDSA on P-256");
  PublicKey pub = SAW_TRY(PublicKey::from_der(encoded_public(key.get(), "DER")));
  return PrivateKey(std::move(key), std::move(pub));
}

Result<std::string> PrivateKey::to_pem(std::string_view passphrase) const {
  const Owned<OSSL_ENCODER_CTX> encoder(
      OSSL_ENCODER_CTX_new_for_pkey(key_.get(), EVP_PKEY_KEYPAIR, "PEM", "PrivateKeyInfo", nullptr));
  SAW_CHECK(encoder != nullptr);
  if (!passphrase.empty() &&
      (OSSL_ENCODER_CTX_set_cipher(encoder.get(), "AES-256-CBC", nullptr) != 1 ||
       OSSL_ENCODER_CTX_set_passphrase(encoder.get(), bytes(passphrase), passphrase.size()) != 1))
    return Error::make("key.encrypt", "OpenSSL cannot encrypt the key");
  unsigned char* data = nullptr;
  size_t size = 0;
  if (OSSL_ENCODER_to_data(encoder.get(), &data, &size) != 1)
    return Error::make("key.encrypt", "OpenSSL cannot write the key");
  return taken(data, size);
}

std::string PrivateKey::sign(std::string_view message) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  SAW_CHECK(context && EVP_DigestSignInit(context.get(), nullptr, hash_of(public_key_.kind()), nullptr,
                                          key_.get()) == 1);
  size_t size = 0;
  SAW_CHECK(EVP_DigestSign(context.get(), nullptr, &size, bytes(message), message.size()) == 1);
  std::string signature(size, '\0');
  SAW_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                           bytes(message), message.size()) == 1);
  signature.resize(size);
  return signature;
}

}  // namespace saw
