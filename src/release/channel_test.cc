// What a channel may do over time: forward, back by order, and never to what was taken back.
#include "release/release_fixture_test.h"

namespace saw::release {
namespace {

using namespace fixture;

class Channel : public testing::Test {
 protected:
  Manifest next(uint64_t revision, const std::string& version) const {
    Manifest m = c_.manifest();
    m.revision = revision;
    m.version = version;
    return m;
  }
  Result<Verified> verify(const FoundChannel& found) { return verify_channel(found, c_.around(), state_); }
  std::string verdict(const FoundChannel& found) { return code_of(verify(found)); }
  Arrival activate(const FoundChannel& found) {
    auto verified = verify(found);
    EXPECT_TRUE(verified) << verified.error().message;
    state_ = verified->state();
    return verified->arrival;
  }
  FoundChannel with_order(const Manifest& to, const Manifest& from, uint64_t revision,
                          const Company::Signers& signers) const {
    FoundChannel found = c_.channel(to);
    found.rollback = Company::signed_text(
        kRollbackType,
        RollbackOrder{"stable", revision, Company::digest(from), Company::digest(to), to.version, "bad", kNow}
            .text(),
        signers);
    return found;
  }

  Company c_;
  ChannelState state_;
  const Manifest one_ = next(7, "2026-11-24.1"), two_ = next(8, "2026-11-24.2"),
                 three_ = next(10, "2026-11-24.3");
};

TEST_F(Channel, moves_forward_and_stays) {
  EXPECT_EQ(activate(c_.channel(one_)), Arrival::first);
  EXPECT_EQ(activate(c_.channel(one_)), Arrival::unchanged);
  EXPECT_EQ(activate(c_.channel(two_)), Arrival::newer);
  EXPECT_EQ(state_.revision, 8u);
}

TEST_F(Channel, a_lower_revision_is_refused) {
  activate(c_.channel(two_));
  EXPECT_EQ(verdict(c_.channel(one_)), "release.lower_revision");
}

TEST_F(Channel, the_same_revision_with_other_content_is_refused) {
  activate(c_.channel(two_));
  EXPECT_EQ(verdict(c_.channel(next(8, "2026-11-24.3"))), "release.same_revision");
}

TEST_F(Channel, the_pointer_must_name_what_lies_there) {
  FoundChannel found = c_.channel(one_);
  for (const Pointer& pointer : {Pointer{"beta", one_.version, Company::digest(one_)},
                                 Pointer{"stable", two_.version, Company::digest(one_)},
                                 Pointer{"stable", one_.version, Company::digest(two_)}}) {
    found.pointer = pointer.text();
    EXPECT_EQ(verdict(found), "release.wrong_pointer");
  }
  found = c_.channel(one_);
  found.version = "2026-11-24.9";  // the link names another directory
  EXPECT_EQ(verdict(found), "release.wrong_pointer");
  found.pointer = "{}";
  EXPECT_EQ(verdict(found), "release.malformed");
}

TEST_F(Channel, an_order_leads_back_once) {
  activate(c_.channel(one_));
  activate(c_.channel(two_));
  const FoundChannel back = with_order(one_, two_, 9, {&c_.ann, &c_.ben});
  EXPECT_EQ(activate(back), Arrival::rollback);
  EXPECT_EQ(state_.revision, 9u);
  EXPECT_EQ(activate(back), Arrival::unchanged);
  EXPECT_EQ(verdict(c_.channel(two_)), "release.lower_revision") << "what was left does not come back";
  EXPECT_EQ(activate(c_.channel(three_)), Arrival::newer);
  EXPECT_EQ(verdict(back), "release.lower_revision") << "the order is used up";
}

TEST_F(Channel, an_order_counts_only_as_it_was_signed) {
  activate(c_.channel(two_));
  EXPECT_EQ(verdict(with_order(one_, two_, 9, {&c_.ann})), "release.too_few_signatures");
  EXPECT_EQ(verdict(with_order(one_, two_, 9, {&c_.ann, &c_.eve})), "release.unknown_key");
  EXPECT_EQ(verdict(with_order(one_, two_, 9, {&c_.ann, &c_.rex})), "release.key_not_allowed");
  EXPECT_EQ(verdict(with_order(one_, two_, 8, {&c_.ann, &c_.ben})), "release.lower_revision");
  EXPECT_EQ(verdict(with_order(one_, three_, 9, {&c_.ann, &c_.ben})), "release.lower_revision");
  FoundChannel elsewhere = with_order(three_, two_, 9, {&c_.ann, &c_.ben});
  elsewhere.release = c_.channel(one_).release;
  elsewhere.pointer = c_.channel(one_).pointer;
  elsewhere.version = one_.version;
  EXPECT_EQ(verdict(elsewhere), "release.lower_revision");
  EXPECT_EQ(verdict(with_order(one_, two_, 9, {&c_.ann, &c_.ben})), "");
}

TEST_F(Channel, a_host_that_begins_after_a_rollback_knows_its_revision) {
  EXPECT_EQ(activate(with_order(one_, two_, 9, {&c_.ann, &c_.ben})), Arrival::first);
  EXPECT_EQ(state_.revision, 9u);
  EXPECT_EQ(verdict(c_.channel(two_)), "release.lower_revision");
}

TEST_F(Channel, a_worthless_order_stops_no_release_that_needs_none) {
  activate(c_.channel(one_));
  FoundChannel found = c_.channel(two_);
  found.rollback = "{}";
  EXPECT_EQ(verdict(found), "");
}

class Taken : public Channel {
 protected:
  std::string list(const Revocations& r, const Company::Signers& signers) {
    return Company::signed_text(kRevocationsType, r.text(), signers);
  }
  FoundChannel with(const Manifest& m, const Revocations& r, const PrivateKey& signer) {
    FoundChannel found = c_.channel(m);
    found.revocations = list(r, {&signer});
    return found;
  }
  Revocations lost_{
      .channel = "stable", .epoch = 1, .keys = {{"sha256:" + std::string(64, 'e'), "lost"}}, .releases = {}};
};

TEST_F(Taken, back_by_a_revoker_or_a_signer_alone) {
  EXPECT_EQ(verdict(with(one_, lost_, c_.rex)), "");
  EXPECT_EQ(verdict(with(one_, lost_, c_.ann)), "");
  EXPECT_EQ(verdict(with(one_, lost_, c_.dan)), "release.key_not_allowed");
  EXPECT_EQ(verdict(with(one_, lost_, c_.eve)), "release.unknown_key");
}

TEST_F(Taken, back_releases_and_keys_do_not_run) {
  lost_.releases[Company::digest(one_)] = "wide open";
  EXPECT_EQ(verdict(with(one_, lost_, c_.rex)), "release.revoked_release");
  lost_.releases.clear();
  lost_.keys[c_.ben.public_key().id()] = "stolen";
  EXPECT_EQ(verdict(with(one_, lost_, c_.rex)), "release.revoked_key");
}

TEST_F(Taken, back_stays_back) {
  activate(with(one_, lost_, c_.rex));
  EXPECT_EQ(state_.revoked.epoch, 1u);
  EXPECT_EQ(verdict(c_.channel(two_)), "release.revocations_missing");
  Revocations fewer = lost_;
  fewer.epoch = 2;
  fewer.keys.clear();
  EXPECT_EQ(verdict(with(two_, fewer, c_.rex)), "release.revocations_shrink");
  fewer.epoch = 1;
  EXPECT_EQ(verdict(with(two_, fewer, c_.rex)), "release.revocations_older");
  EXPECT_EQ(verdict(with(two_, lost_, c_.rex)), "");
}

TEST_F(Taken, a_revoked_key_signs_no_later_list) {
  lost_.keys[c_.ann.public_key().id()] = "stolen";
  activate(with(one_, Revocations{.channel = "stable", .epoch = 1, .keys = {}, .releases = {}}, c_.rex));
  state_.revoked = lost_;
  Revocations later = lost_;
  later.epoch = 2;
  EXPECT_EQ(verdict(with(two_, later, c_.ann)), "release.revoked_key");
}

TEST_F(Taken, a_list_of_another_channel_or_shape_is_refused) {
  lost_.channel = "beta";
  EXPECT_EQ(verdict(with(one_, lost_, c_.ann)), "release.wrong_channel");
  FoundChannel found = c_.channel(one_);
  found.revocations = "";
  EXPECT_EQ(verdict(found), "release.malformed");
  const std::string twice = R"({"id":"sha256:)" + std::string(64, 'a') + R"(","why":""})";
  found.revocations = Company::signed_text(
      kRevocationsType,
      R"({"apiVersion":"saw/v1","kind":"Revocations","channel":"stable","epoch":1,"keys":[)" + twice + "," +
          twice + R"(],"releases":[]})",
      {&c_.rex});
  EXPECT_EQ(verdict(found), "release.malformed");
}

}  // namespace
}  // namespace saw::release
