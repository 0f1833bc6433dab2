#include "release/trust.h"

#include <gmock/gmock.h>

#include "release/release_fixture_test.h"

namespace saw::release {
namespace {

using namespace fixture;
using testing::HasSubstr;

// What is wrong with the company's trust file once `from` is replaced in it.
std::string wrong_with(const Company& c, const std::string& from, const std::string& to) {
  std::string text = c.trust_text();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  auto trust = Trust::parse(text.replace(at, from.size(), to), "trust.yaml");
  if (trust) return "";
  EXPECT_EQ(trust.error().code, "trust.invalid");
  return trust.error().message;
}

TEST(TrustFile, says_who_may_sign_what) {
  const Company c;
  const ChannelTrust* stable = c.trust.channel("stable");
  ASSERT_NE(stable, nullptr);
  EXPECT_EQ(stable->threshold, 2u);
  EXPECT_TRUE(stable->signers.contains(c.ann.public_key().id()));
  EXPECT_FALSE(stable->signers.contains(c.dan.public_key().id()));
  EXPECT_EQ(c.trust.key(c.ben.public_key().id())->owner, "ben");
  EXPECT_EQ(c.trust.key(c.ann.public_key().id())->owner, "ann");
  EXPECT_EQ(c.trust.key(c.eve.public_key().id()), nullptr);
  EXPECT_EQ(c.trust.channel("nightly"), nullptr);
}

TEST(TrustFile, every_error_has_its_place) {
  const Company c;
  EXPECT_EQ(wrong_with(c, "kind: Trust", "kind: Trust"), "");
  EXPECT_THAT(wrong_with(c, "kind: Trust", "kind: Policy"), HasSubstr("trust.yaml:2:"));
  EXPECT_THAT(wrong_with(c, "threshold: 2", "treshold: 2"), HasSubstr("unknown"));
  EXPECT_THAT(wrong_with(c, "threshold: 2", "threshold: 0"), HasSubstr("threshold"));
  EXPECT_THAT(wrong_with(c, "threshold: 2", "threshold: 4"), HasSubstr("3 different owners"))
      << "ben's two keys are one voice";
  EXPECT_THAT(wrong_with(c, ", threshold: 2", ""), HasSubstr("'threshold' is required"));
  EXPECT_THAT(wrong_with(c, "signers: [ann, ben,", "signers: [ann, bob,"), HasSubstr("'bob'"));
  EXPECT_THAT(wrong_with(c, "signers: [ann, ben,", "signers: [ann, ann,"), HasSubstr("twice"));
  EXPECT_THAT(wrong_with(c, "  stable:", "  ../stable:"), HasSubstr("no name"));
  EXPECT_THAT(wrong_with(c, c.ann.public_key().text(), "AAAA"), HasSubstr("key.malformed"));
  EXPECT_THAT(wrong_with(c, c.ann.public_key().text(), c.ben.public_key().text()), HasSubstr("another name"));
  EXPECT_THAT(wrong_with(c, "  ann:", "  ben:"), HasSubstr("ben"));
}

TEST(TrustFile, an_empty_one_trusts_nobody) {
  EXPECT_FALSE(Trust::parse("", "trust.yaml"));
  EXPECT_FALSE(Trust::parse("apiVersion: saw/v1\nkind: Trust\n", "trust.yaml"));
  EXPECT_FALSE(Trust::parse("apiVersion: saw/v1\nkind: Trust\nkeys: {}\nchannels: {}\n", "trust.yaml"));
}

}  // namespace
}  // namespace saw::release
