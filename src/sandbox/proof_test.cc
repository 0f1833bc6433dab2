#include "sandbox/proof.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace saw::sandbox {
namespace {

Proof sample() {
  return {.occasion = Proof::Occasion::again,
          .node = "node-1",
          .workspace = "ws-1",
          .session = "ss-1",
          .sandbox = "sb-1",
          .depth = Depth::session,
          .plan_digest = "sha256:00ff",
          .time = 1'795'489'200'123'456'789,
          .probes = {{"files.create", "EROFS"}, {"files.writable", "ok"}},
          .not_applicable = {"network.no_route"}};
}

TEST(Proof, what_was_sealed_is_read_back) {
  const SigningKey key = SigningKey::generate();
  auto proof = open_sealed(seal(sample(), key), key.public_key());
  ASSERT_TRUE(proof) << proof.error().message;
  EXPECT_EQ(proof->node, "node-1");
  EXPECT_EQ(proof->workspace, "ws-1");
  EXPECT_EQ(proof->session, "ss-1");
  EXPECT_EQ(proof->sandbox, "sb-1");
  EXPECT_EQ(proof->depth, Depth::session);
  EXPECT_EQ(proof->occasion, Proof::Occasion::again);
  EXPECT_EQ(proof->plan_digest, "sha256:00ff");
  EXPECT_EQ(proof->time, sample().time);
  EXPECT_EQ(proof->probes, sample().probes);
  EXPECT_THAT(proof->not_applicable, testing::ElementsAre("network.no_route"));
}

TEST(Proof, is_the_same_bytes_for_the_same_facts) {
  const SigningKey key = SigningKey::generate();
  EXPECT_EQ(seal(sample(), key), seal(sample(), key));
}

// The envelope is DSSE's: its signature is over "DSSEv1 <length> <type> <length> <body>".
TEST(Proof, is_signed_over_the_pre_authentication_encoding) {
  const SigningKey key = SigningKey::generate();
  const std::string sealed = seal(sample(), key);
  auto member = [&](const std::string& name) {
    const size_t at = sealed.find("\"" + name + "\":\"") + name.size() + 4;
    return from_base64(sealed.substr(at, sealed.find('"', at) - at)).value();
  };
  const std::string body = member("payload");
  const std::string encoded =
      "DSSEv1 30 application/vnd.saw.proof+json " + std::to_string(body.size()) + " " + body;
  EXPECT_TRUE(verify_signature(key.public_key(), encoded, member("sig")));
  EXPECT_FALSE(verify_signature(key.public_key(), body, member("sig")));
}

TEST(Proof, of_another_key_is_refused) {
  const SigningKey key = SigningKey::generate(), other = SigningKey::generate();
  auto proof = open_sealed(seal(sample(), other), key.public_key());
  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code, "proof.signature");
  EXPECT_FALSE(open_sealed(seal(sample(), key), ""));
}

TEST(Proof, with_any_byte_changed_is_refused_or_says_the_same) {
  const SigningKey key = SigningKey::generate();
  const std::string sealed = seal(sample(), key);
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    if (auto proof = open_sealed(changed, key.public_key())) EXPECT_EQ(seal(*proof, key), sealed) << i;
  }
}

TEST(Proof, that_is_no_envelope_is_malformed) {
  const SigningKey key = SigningKey::generate();
  const std::string good = seal(sample(), key);
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"payload\":1}"), good + "x",
        std::string(R"({"payload":"","payload":"","payloadType":"","signatures":[]})"),
        std::string("{\0}", 3), std::string(200'000, '['), std::string(kMaxSealedProof + 1, ' ')}) {
    auto proof = open_sealed(text, key.public_key());
    ASSERT_FALSE(proof) << text.substr(0, 100);
    EXPECT_EQ(proof.error().code, "proof.malformed") << text.substr(0, 100);
  }
}

}  // namespace
}  // namespace saw::sandbox
