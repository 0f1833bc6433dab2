#include "release/verify.h"

#include "base/bytes.h"
#include "release/release_fixture_test.h"

namespace saw::release {
namespace {

using namespace fixture;

class Verify : public testing::Test {
 protected:
  std::string verdict(const FlatDirectory& found) {
    return code_of(verify_release(found, c_.around(), revoked_));
  }
  // The release of a bent manifest, properly signed.
  std::string verdict(const std::function<void(Manifest&)>& bend) {
    Manifest m = c_.manifest();
    bend(m);
    return verdict(c_.release(m.text(), c_.enough()));
  }
  // The release of manifest bytes in which `from` is replaced, properly signed.
  std::string verdict_of_text(const std::string& from, const std::string& to) {
    std::string text = c_.manifest().text();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return verdict(c_.release(text.replace(at, from.size(), to), c_.enough()));
  }
  std::string verdict_of_signers(const Company::Signers& signers) {
    return verdict(c_.release(c_.manifest().text(), signers));
  }

  Company c_;
  Revocations revoked_;
};

// The benign twin of every refusal below.
TEST_F(Verify, a_release_with_everything_in_order_is_accepted) {
  const auto verified = verify_release(c_.release(), c_.around(), revoked_);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->manifest, c_.manifest());
  EXPECT_EQ(verified->digest, Company::digest(c_.manifest()));
  EXPECT_EQ(verified->policy.name(), "p");
  EXPECT_EQ(verified->policy_text, kPolicyText);
  EXPECT_EQ(verified->author, "cat");
  EXPECT_EQ(verified->signers, (std::vector<std::string>{"ann", "ben"}));
  EXPECT_EQ(verified->revision, 7u);
}

TEST_F(Verify, further_members_are_fine_when_they_are_listed) {
  Manifest m = c_.manifest();
  Company::list(m, "changes.md", "why");
  FlatDirectory found = c_.release(m.text(), c_.enough());
  EXPECT_EQ(verdict(found), "release.missing_member");
  found.files["changes.md"] = "why";
  EXPECT_EQ(verdict(found), "");
}

TEST_F(Verify, an_unknown_channel_is_refused) {
  EXPECT_EQ(code_of(verify_release(c_.release(), {"nightly", c_.trust, kNow}, revoked_)),
            "release.unknown_channel");
}

// ---- signatures

TEST_F(Verify, a_key_that_nobody_trusts_is_refused) {
  EXPECT_EQ(verdict_of_signers({&c_.cat, &c_.ann, &c_.ben, &c_.eve}), "release.unknown_key");
}

TEST_F(Verify, a_key_of_another_channel_is_refused) {
  EXPECT_EQ(verdict_of_signers({&c_.cat, &c_.ann, &c_.ben, &c_.dan}), "release.key_not_allowed");
}

TEST_F(Verify, a_revoker_signs_no_release) {
  EXPECT_EQ(verdict_of_signers({&c_.cat, &c_.ann, &c_.ben, &c_.rex}), "release.key_not_allowed");
}

TEST_F(Verify, a_signature_of_other_bytes_is_refused) {
  Envelope e{.type = std::string(kReleaseType), .payload = c_.manifest().text(), .signatures = {}};
  for (const PrivateKey* k : c_.enough()) e.sign(*k);
  FlatDirectory found = c_.release();
  found.files["signature.sig"] = e.text();
  EXPECT_EQ(verdict(found), "");
  e.signatures[2].bytes = c_.ben.sign(e.payload);  // over the payload instead of its PAE
  found.files["signature.sig"] = e.text();
  EXPECT_EQ(verdict(found), "release.bad_signature");
  e.signatures[2].bytes.clear();
  found.files["signature.sig"] = e.text();
  EXPECT_EQ(verdict(found), "release.bad_signature");
}

TEST_F(Verify, a_signature_made_for_another_purpose_is_refused) {
  FlatDirectory found = c_.release();
  found.files["signature.sig"] = Company::signed_text(kRevocationsType, c_.manifest().text(), c_.enough());
  EXPECT_EQ(verdict(found), "release.malformed");
}

TEST_F(Verify, too_few_signatures_are_refused) {
  EXPECT_EQ(verdict_of_signers({&c_.cat, &c_.ann}), "release.author_is_signer")
      << "cat may sign on this channel, but not what cat wrote";
  EXPECT_EQ(verdict_of_signers({&c_.cat}), "release.too_few_signatures");
  EXPECT_EQ(verdict_of_signers({}), "release.unsigned");
}

TEST_F(Verify, a_manifest_may_ask_for_more_signatures_than_the_trust_file_and_not_for_fewer) {
  EXPECT_EQ(verdict([](Manifest& m) { m.threshold = 4; }), "release.too_few_signatures");
  Manifest m = c_.manifest();
  m.threshold = 1;
  EXPECT_EQ(verdict(c_.release(m.text(), {&c_.cat})), "release.too_few_signatures");
  EXPECT_EQ(verdict(c_.release(m.text(), c_.enough())), "");
}

TEST_F(Verify, the_same_signer_twice_is_refused) {
  EXPECT_EQ(verdict_of_signers({&c_.cat, &c_.ann, &c_.ann}), "release.same_signer_twice");
  EXPECT_EQ(verdict_of_signers({&c_.cat, &c_.ben, &c_.bens_other}), "release.same_signer_twice")
      << "two keys of one person";
}

TEST_F(Verify, a_key_that_the_manifest_does_not_list_is_refused) {
  EXPECT_EQ(verdict([](Manifest& m) { m.keys.erase(m.keys.begin()); }), "release.key_not_listed");
}

TEST_F(Verify, the_author_is_an_author_and_signs_and_is_no_other_signer) {
  EXPECT_EQ(verdict([&](Manifest& m) { m.author = c_.ann.public_key().id(); }), "release.author_not_allowed");
  EXPECT_EQ(verdict([&](Manifest& m) { m.author.clear(); }), "release.author_not_allowed");
  EXPECT_EQ(verdict_of_signers({&c_.ann, &c_.ben}), "release.author_unsigned");
}

TEST_F(Verify, a_channel_without_authors_needs_none) {
  Manifest m = c_.manifest();
  m.channel = "beta";
  m.author.clear();
  m.threshold = 1;
  m.keys = {c_.dan.public_key().id()};
  const auto verified = verify_release(c_.release(m.text(), {&c_.dan}), {"beta", c_.trust, kNow}, revoked_);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->author, "");
}

TEST_F(Verify, a_revoked_key_no_longer_counts) {
  revoked_.keys[c_.eve.public_key().id()] = "lost";
  EXPECT_EQ(verdict(c_.release()), "");
  revoked_.keys[c_.ben.public_key().id()] = "lost";
  EXPECT_EQ(verdict(c_.release()), "release.revoked_key");
}

TEST_F(Verify, a_revoked_release_is_refused) {
  revoked_.releases["sha256:" + std::string(64, 'a')] = "another";
  EXPECT_EQ(verdict(c_.release()), "");
  revoked_.releases[Company::digest(c_.manifest())] = "opens too much";
  EXPECT_EQ(verdict(c_.release()), "release.revoked_release");
}

// ---- the directory

TEST_F(Verify, a_changed_file_is_refused) {
  FlatDirectory found = c_.release();
  found.files["policy.yaml"][20] ^= 1;
  EXPECT_EQ(verdict(found), "release.wrong_digest");
  found = c_.release();
  found.files["policy.yaml"] += "\n";
  EXPECT_EQ(verdict(found), "release.wrong_digest");
}

TEST_F(Verify, a_manifest_other_than_the_signed_one_is_refused) {
  FlatDirectory found = c_.release();
  found.files["manifest.json"] += " ";
  EXPECT_EQ(verdict(found), "release.wrong_digest");
}

TEST_F(Verify, a_missing_file_is_refused) {
  for (const char* name : {"policy.yaml", "manifest.json", "signature.sig"}) {
    FlatDirectory found = c_.release();
    found.files.erase(name);
    EXPECT_EQ(verdict(found), "release.missing_member") << name;
  }
  EXPECT_EQ(verdict([](Manifest& m) { m.members = {{"other.yaml", m.members.begin()->second}}; }),
            "release.missing_member");
}

TEST_F(Verify, a_file_too_many_is_refused) {
  FlatDirectory found = c_.release();
  found.files["more.yaml"] = "";
  EXPECT_EQ(verdict(found), "release.extra_member");
}

TEST_F(Verify, what_is_no_regular_file_is_refused) {
  FlatDirectory found = c_.release();
  found.odd = {"link"};
  EXPECT_EQ(verdict(found), "release.path_trick");
}

TEST_F(Verify, a_members_name_leads_nowhere_else) {
  for (const char* name : {"../policy.yaml", "/etc/passwd", "a/b", ".hidden", "", "UPPER", "manifest.json",
                           "signature.sig", "caf\xc3\xa9"})
    EXPECT_EQ(verdict([&](Manifest& m) { m.members[name] = {"sha256:" + std::string(64, '0'), 0}; }),
              "release.path_trick")
        << name;
}

// ---- the manifest

TEST_F(Verify, a_member_of_json_named_twice_is_refused) {
  EXPECT_EQ(verdict_of_text("\"revision\": 7,", "\"revision\": 7, \"revision\": 8,"),
            "release.duplicate_key");
  EXPECT_EQ(verdict_of_text("\"size\":", "\"size\": 1, \"size\":"), "release.duplicate_key");
}

TEST_F(Verify, an_unknown_field_is_refused) {
  EXPECT_EQ(verdict_of_text("\"revision\": 7,", "\"revision\": 7, \"scope\": 1,"), "release.unknown_field");
  EXPECT_EQ(verdict_of_text("\"size\":", "\"mode\": 1, \"size\":"), "release.unknown_field");
}

TEST_F(Verify, values_of_other_shapes_are_refused) {
  EXPECT_EQ(verdict_of_text("\"revision\": 7", "\"revision\": 7.0"), "release.malformed");
  EXPECT_EQ(verdict_of_text("\"revision\": 7", "\"revision\": -7"), "release.malformed");
  EXPECT_EQ(verdict_of_text("\"revision\": 7", "\"revision\": 0"), "release.malformed");
  EXPECT_EQ(verdict_of_text("\"revision\": 7", "\"revision\": \"7\""), "release.malformed");
  EXPECT_EQ(verdict_of_text("\"saw/v1\"", "\"saw/v2\""), "release.malformed");
  EXPECT_EQ(verdict_of_text("\"2026-11-24.1\"", "\"2026-02-30.1\""), "release.malformed");
  EXPECT_EQ(verdict_of_text("\"members\"", "\"memberz\""), "release.unknown_field");
  EXPECT_EQ(verdict([](Manifest& m) { m.expires_at = m.not_before; }), "release.malformed");
  EXPECT_EQ(verdict(c_.release("not JSON", c_.enough())), "release.malformed");
}

TEST_F(Verify, a_release_of_another_channel_is_refused) {
  EXPECT_EQ(verdict([](Manifest& m) { m.channel = "beta"; }), "release.wrong_channel");
}

TEST_F(Verify, the_window_of_validity_is_half_open) {
  EXPECT_EQ(verdict([](Manifest& m) { m.not_before = kNow; }), "");
  EXPECT_EQ(verdict([](Manifest& m) { m.not_before = kNow + 1; }), "release.not_yet_valid");
  EXPECT_EQ(verdict([](Manifest& m) { m.expires_at = kNow + 1; }), "");
  EXPECT_EQ(verdict([](Manifest& m) { m.expires_at = kNow; }), "release.expired");
}

// ---- the policy

TEST_F(Verify, a_policy_that_does_not_compile_is_refused) {
  EXPECT_EQ(verdict(c_.release_with_policy(c_.manifest(), kPolicyText + "nonsense: 1\n")),
            "release.unparsable_policy");
  EXPECT_EQ(
      verdict(c_.release_with_policy(c_.manifest(), kPolicyText + "budget: {perDay: {calls: 5}}\nx: 1\n")),
      "release.unparsable_policy");
  EXPECT_EQ(verdict(c_.release_with_policy(c_.manifest(), kPolicyText + "isolation: namespace\n")), "");
}

TEST_F(Verify, a_rule_that_nothing_enforces_refuses_the_whole_release) {
  EXPECT_EQ(verdict(c_.release_with_policy(c_.manifest(), kPolicyText + "isolation: vm\n")),
            "release.unprojectable");
  const std::string labels = "filesystem: {read: [/w], labels: [{path: /w/c, add: private}]}\n";
  EXPECT_EQ(verdict(c_.release_with_policy(c_.manifest(), kPolicyText + labels)), "release.unprojectable");
}

}  // namespace
}  // namespace saw::release
