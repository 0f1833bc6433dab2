#include "store/seal.h"

#include <sodium.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"

namespace saw::store {
namespace {

constexpr size_t kKey = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
                 kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
                 kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;

const unsigned char* in(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* out(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

}  // namespace

Sealer::Sealer(std::string key) : key_(std::move(key)) {
  SAW_CHECK(key_.size() == kKey && sodium_init() >= 0);
}
Sealer::~Sealer() {
  sodium_memzero(key_.data(), key_.size());
}

Result<Sealer> Sealer::open(const std::string& key_file) {
  if (::access(key_file.c_str(), F_OK) != 0)
    SAW_TRY(replace_file(key_file, random_bytes(kKey), 0600, Durability::fsync));
  std::string key = SAW_TRY(read_file(key_file, kKey), "reading the key of the secret store");
  if (key.size() != kKey)
    return Error::make("store.key", "'{}' has {} bytes instead of {}", key_file, key.size(), kKey);
  return Sealer(std::move(key));
}

std::string Sealer::seal(std::string_view secret, std::string_view context) const {
  std::string sealed = random_bytes(kNonce);
  sealed.resize(kNonce + secret.size() + kTag);
  unsigned long long length = 0;
  SAW_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(out(sealed) + kNonce, &length, in(secret),
                                                       secret.size(), in(context), context.size(), nullptr,
                                                       out(sealed), in(key_)) == 0);
  return sealed;
}

Result<std::string> Sealer::unseal(std::string_view sealed, std::string_view context) const {
  if (sealed.size() < kNonce + kTag)
    return Error::make("store.unseal", "a sealed value of {} bytes", sealed.size());
  std::string secret(sealed.size() - kNonce - kTag, '\0');
  unsigned long long length = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(out(secret), &length, nullptr, in(sealed) + kNonce,
                                                 sealed.size() - kNonce, in(context), context.size(),
                                                 in(sealed), in(key_)) != 0)
    return Error::make("store.unseal",
                       "a sealed value does not open: another key, or it was changed or moved");
  return secret;
}

}  // namespace saw::store
