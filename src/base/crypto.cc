#include "base/crypto.h"

#include <memory>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include "base/bytes.h"

namespace saw {
namespace {

struct PkeyFree {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
struct MdFree {
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
};
using Pkey = std::unique_ptr<EVP_PKEY, PkeyFree>;
using MdContext = std::unique_ptr<EVP_MD_CTX, MdFree>;

const unsigned char* bytes(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

}  // namespace

Digest sha256(std::string_view data) {
  return sha256({data});
}

Digest sha256(std::initializer_list<std::string_view> parts) {
  static thread_local const MdContext context(EVP_MD_CTX_new());
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  SAW_CHECK(algorithm != nullptr && EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1);
  for (std::string_view part : parts)
    SAW_CHECK(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  Digest out;
  unsigned length = 0;
  SAW_CHECK(EVP_DigestFinal_ex(context.get(), out.data(), &length) == 1 && length == out.size());
  return out;
}

struct Sha256::State {
  MdContext context{EVP_MD_CTX_new()};
};
Sha256::Sha256() : state_(std::make_unique<State>()) {
  SAW_CHECK(EVP_DigestInit_ex2(state_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;
void Sha256::add(std::string_view data) {
  SAW_CHECK(EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) == 1);
}
Digest Sha256::finish() && {
  Digest out;
  unsigned length = 0;
  SAW_CHECK(EVP_DigestFinal_ex(state_->context.get(), out.data(), &length) == 1 && length == out.size());
  return out;
}

std::string digest_text(const Digest& d) {
  return "sha256:" + to_hex(view(d));
}

std::string random_bytes(size_t size) {
  std::string out(size, '\0');
  for (size_t done = 0; done < size;) {
    ssize_t n = ::getrandom(out.data() + done, size - done, 0);
    SAW_CHECK(n > 0 || errno == EINTR, "getrandom failed");
    if (n > 0) done += static_cast<size_t>(n);
  }
  return out;
}

std::string random_id(std::string_view prefix) {
  std::string out(prefix);
  for (unsigned char byte : random_bytes(20)) out.push_back("abcdefghijklmnopqrstuvwxyz234567"[byte & 31]);
  return out;
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

SigningKey SigningKey::generate() {
  auto key = from_seed(random_bytes(32));
  SAW_CHECK(key.has_value());
  return std::move(*key);
}

Result<SigningKey> SigningKey::from_seed(std::string_view seed) {
  if (seed.size() != 32)
    return Error::make("crypto.key", "an Ed25519 seed has 32 bytes, not {}", seed.size());
  Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(seed), seed.size()));
  std::string public_key(32, '\0');
  size_t length = public_key.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(public_key.data()),
                                          &length) != 1)
    return Error::make("crypto.key", "OpenSSL refused the Ed25519 seed");
  return SigningKey(std::string(seed), std::move(public_key));
}

SigningKey::~SigningKey() {
  OPENSSL_cleanse(seed_.data(), seed_.size());
}

std::string SigningKey::sign(std::string_view message) const {
  Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(seed_), seed_.size()));
  MdContext context(EVP_MD_CTX_new());
  std::string signature(64, '\0');
  size_t length = signature.size();
  SAW_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  SAW_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                           bytes(message), message.size()) == 1);
  return signature;
}

bool verify_signature(std::string_view public_key, std::string_view message, std::string_view signature) {
  if (public_key.size() != 32 || signature.size() != 64) return false;
  Pkey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(public_key), public_key.size()));
  MdContext context(EVP_MD_CTX_new());
  return key && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(message),
                          message.size()) == 1;
}

}  // namespace saw
