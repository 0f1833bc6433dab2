#include "control/review_desk.h"

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

class ReviewDeskTest : public ControlTest {
 protected:
  void SetUp() override {
    boot_ready();
    put_secret();
    auto created = create();
    ASSERT_TRUE(created) << created.error().message;
    sandbox_ = created->workspace.sandbox;
  }
  // What an agent's POST makes of it; returns the review as the owner sees it.
  ReviewView ask(uint64_t number, int64_t hold_ms = 2000, std::string channel = "") {
    egress().send(egress::ReviewAsk{.ask = number,
                                    .channel = channel.empty() ? sandbox_ : channel,
                                    .method = "POST",
                                    .scheme = "https",
                                    .host = "api.example.com",
                                    .target = "/x",
                                    .rule = "network.api.review[0]",
                                    .port = 443,
                                    .digest = "sha256:aa",
                                    .hold_ms = hold_ms});
    run_until([&] { return !control_->list_reviews(kOwner, "pending")->empty(); }, 500);
    auto list = control_->list_reviews(kOwner, "pending").value();
    return list.empty() ? ReviewView{} : list.front();
  }
  Result<ReviewView> approve(const std::string& id, const Caller& by = kOwner) {
    return wait<ReviewView>([&](auto r) { control_->approve(by, id, std::nullopt, std::move(r)); });
  }
  bool verdict_came() {
    return run_until([&] { return !egress().verdicts.empty(); });
  }
  std::string sandbox_;
};

TEST_F(ReviewDeskTest, an_approval_is_recorded_and_then_lets_exactly_that_request_through) {
  ReviewView review = ask(7);
  EXPECT_EQ(review.method, "POST");
  EXPECT_EQ(review.sponsor, "uid:1001");
  auto approved = approve(review.id);
  ASSERT_TRUE(approved) << approved.error().message;
  EXPECT_EQ(approved->state, "approved");
  ASSERT_TRUE(verdict_came());
  EXPECT_EQ(egress().verdicts[0].ask, 7u);
  EXPECT_EQ(egress().verdicts[0].review, review.id);
  EXPECT_EQ(egress().verdicts[0].outcome, egress::ReviewOutcome::approved);
  EXPECT_EQ(events("review.approve"), 1u);
  EXPECT_EQ(approve(review.id).error().code, "review.conflict");
}

TEST_F(ReviewDeskTest, denial_and_time_out_are_told_apart) {
  ReviewView review = ask(1);
  ASSERT_TRUE(
      wait<ReviewView>([&](auto r) { control_->deny(kOwner, review.id, "not today", std::move(r)); }));
  ASSERT_TRUE(verdict_came());
  EXPECT_EQ(egress().verdicts[0].outcome, egress::ReviewOutcome::denied);
  EXPECT_EQ(egress().verdicts[0].why, "not today");
  ask(2, 20);
  ASSERT_TRUE(run_until([&] { return egress().verdicts.size() == 2; }));
  EXPECT_EQ(egress().verdicts[1].outcome, egress::ReviewOutcome::timed_out);
  EXPECT_EQ(events("review.time_out"), 1u);
}

TEST_F(ReviewDeskTest, an_approval_that_cannot_be_recorded_lets_nothing_through) {
  ReviewView review = ask(1);
  disk_.full = true;
  EXPECT_EQ(approve(review.id).error().code, "audit.unavailable");
  ASSERT_TRUE(verdict_came());
  EXPECT_EQ(egress().verdicts[0].outcome, egress::ReviewOutcome::denied);
}

TEST_F(ReviewDeskTest, a_stranger_neither_sees_nor_decides_a_review) {
  ReviewView review = ask(1);
  EXPECT_TRUE(control_->list_reviews(kStranger, "")->empty());
  EXPECT_EQ(approve(review.id, kStranger).error().code, "access.denied");
  EXPECT_EQ(control_->show_review(kOwner, review.id)->state, "pending");
  EXPECT_TRUE(approve(review.id, kOperator));
}

TEST_F(ReviewDeskTest, an_ask_from_an_unknown_channel_is_denied_at_once) {
  ask(1, 2000, "sb-forged");
  ASSERT_TRUE(verdict_came());
  EXPECT_EQ(egress().verdicts[0].outcome, egress::ReviewOutcome::denied);
  EXPECT_TRUE(control_->list_reviews(kOwner, "")->empty());
}

TEST_F(ReviewDeskTest, whoever_stops_waiting_abandons_the_review) {
  ReviewView gone = ask(1);
  egress().send(egress::ReviewAbandoned{1});
  ASSERT_TRUE(run_until([&] { return control_->show_review(kOwner, gone.id)->state == "abandoned"; }));
  ReviewView dead = ask(2);
  const std::string id = node_->egresses.begin()->first;
  node_->egresses.clear();
  node_->send(sandbox::EgressExited{id});
  ASSERT_TRUE(run_until([&] { return control_->show_review(kOwner, dead.id)->state == "abandoned"; }));
}

TEST_F(ReviewDeskTest, a_restart_abandons_what_waited) {
  ReviewView review = ask(1);
  boot_ready();
  EXPECT_EQ(control_->show_review(kOwner, review.id)->state, "abandoned");
  EXPECT_EQ(approve(review.id).error().code, "review.conflict");
}

// Names of workspaces are their owners' choice; reviews refer to a workspace by its id.
TEST_F(ReviewDeskTest, a_workspace_named_like_another_ones_id_gives_no_say_in_its_reviews) {
  ReviewView review = ask(1);
  put_secret(kStranger);
  ASSERT_TRUE(create(spec(review.workspace), kStranger));
  EXPECT_EQ(control_->show_review(kStranger, review.id).error().code, "access.denied");
  EXPECT_EQ(approve(review.id, kStranger).error().code, "access.denied");
  EXPECT_EQ(control_->show_workspace(kStranger, review.workspace)->owner, kStranger.sponsor);
  EXPECT_TRUE(approve(review.id));
}

}  // namespace
}  // namespace saw::control
