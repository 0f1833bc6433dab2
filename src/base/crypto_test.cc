#include "base/crypto.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace saw {
namespace {

TEST(Crypto, sha256_matches_fips_180_4) {
  EXPECT_EQ(digest_text(sha256("abc")),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abc"), sha256({"a", "", "bc"}));
}

TEST(Crypto, ed25519_matches_rfc_8032_test_2) {
  auto key =
      SigningKey::from_seed(*from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  ASSERT_TRUE(key);
  EXPECT_EQ(to_hex(key->public_key()), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  EXPECT_EQ(to_hex(key->sign("\x72")),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(verify_signature(key->public_key(), "\x72", key->sign("\x72")));
  EXPECT_FALSE(verify_signature(key->public_key(), "\x73", key->sign("\x72")));
}

TEST(Crypto, ids_are_fresh_and_name_safe) {
  std::string a = random_id("ws-"), b = random_id("ws-");
  EXPECT_NE(a, b);
  EXPECT_EQ(a.size(), 23u);
}

TEST(Crypto, a_digest_of_pieces_is_the_digest_of_the_whole) {
  Sha256 hash;
  hash.add("one ");
  hash.add("");
  hash.add("two");
  EXPECT_EQ(std::move(hash).finish(), sha256("one two"));
  EXPECT_EQ(Sha256().finish(), sha256(""));
}

}  // namespace
}  // namespace saw
