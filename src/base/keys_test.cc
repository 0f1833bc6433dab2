#include "base/keys.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace saw {
namespace {

constexpr KeyKind kKinds[] = {KeyKind::ed25519, KeyKind::p256};

TEST(Keys, sign_what_their_public_half_verifies_and_nothing_else) {
  for (const KeyKind kind : kKinds) {
    const PrivateKey key = PrivateKey::generate(kind), other = PrivateKey::generate(kind);
    const std::string signature = key.sign("message");
    EXPECT_TRUE(key.public_key().verify("message", signature));
    EXPECT_FALSE(key.public_key().verify("massage", signature));
    EXPECT_FALSE(other.public_key().verify("message", signature));
    std::string bent = signature;
    bent[10] = static_cast<char>(bent[10] ^ 1);
    EXPECT_FALSE(key.public_key().verify("message", bent));
    EXPECT_FALSE(key.public_key().verify("message", ""));
    EXPECT_NE(key.public_key().id(), other.public_key().id());
    EXPECT_EQ(parse_key_kind(name(kind)), kind);
  }
}

TEST(Keys, survive_their_files) {
  for (const KeyKind kind : kKinds) {
    const PrivateKey key = PrivateKey::generate(kind);
    for (const std::string passphrase : {"", "correct horse"}) {
      auto read = PrivateKey::from_pem(*key.to_pem(passphrase), passphrase);
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_EQ(read->public_key(), key.public_key());
      EXPECT_TRUE(key.public_key().verify("m", read->sign("m")));
    }
    const PublicKey& pub = key.public_key();
    EXPECT_EQ(*PublicKey::from_pem(pub.to_pem()), pub);
    EXPECT_EQ(*PublicKey::from_text(pub.text()), pub);
    EXPECT_EQ(PublicKey::from_der(pub.der())->id(), pub.id());
  }
}

TEST(Keys, an_encrypted_key_opens_with_its_passphrase_only) {
  const PrivateKey key = PrivateKey::generate(KeyKind::ed25519);
  const std::string pem = *key.to_pem("right");
  EXPECT_TRUE(pem.contains("ENCRYPTED"));
  EXPECT_EQ(PrivateKey::from_pem(pem, "").error().code, "key.passphrase");
  EXPECT_EQ(PrivateKey::from_pem(pem, "wrong").error().code, "key.passphrase");
  EXPECT_TRUE(PrivateKey::from_pem(pem, "right"));
}

TEST(Keys, one_key_has_one_form) {
  const PublicKey pub = PrivateKey::generate(KeyKind::p256).public_key();
  EXPECT_EQ(PublicKey::from_der(pub.der() + std::string(1, '\0')).error().code, "key.malformed");
  EXPECT_EQ(PublicKey::from_der(pub.der().substr(0, 60)).error().code, "key.malformed");
  std::string compressed = pub.der().substr(0, 27 + 32);  // the same point, as X and a sign
  compressed[1] = 0x39;
  compressed[24] = 0x22;
  compressed[26] = static_cast<char>(2 + (pub.der().back() & 1));
  EXPECT_EQ(PublicKey::from_der(compressed).error().code, "key.malformed");
  EXPECT_EQ(PublicKey::from_text(" " + pub.text()).error().code, "key.malformed");
}

TEST(Keys, of_other_kinds_are_refused) {
  // An X25519 key: right size, wrong purpose.
  const auto x25519 = from_hex("302a300506032b656e032100" + std::string(64, '1'));
  EXPECT_EQ(PublicKey::from_der(*x25519).error().code, "key.kind");
  EXPECT_EQ(PublicKey::from_pem("no key at all").error().code, "key.malformed");
  EXPECT_EQ(PrivateKey::from_pem(PrivateKey::generate(KeyKind::p256).public_key().to_pem(), "").error().code,
            "key.malformed");
}

}  // namespace
}  // namespace saw
