#include "review/queue.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/crypto.h"
#include "store/sqlite_store.h"

namespace saw::review {
namespace {

class FakeClock final : public Clock {
 public:
  Nanos now() const override { return time; }
  Nanos monotonic() const override { return time; }
  Nanos time = 1000 * kSecond;
};

class QueueTest : public testing::Test {
 protected:
  QueueTest() : directory_(testing::TempDir() + random_id("review-")) {
    std::filesystem::create_directory(directory_);
    store_ = std::move(*store::SqliteStore::open(directory_ + "/saw.db"));
    queue_.emplace(*store_, clock_);
  }
  ~QueueTest() override { std::filesystem::remove_all(directory_); }
  store::Review ask(std::string workspace = "ws-1") {
    return queue_
        ->open({.workspace = std::move(workspace), .sponsor = "uid:1", .digest = "sha256:aa"}, 30'000)
        .value();
  }
  static DecisionRequest approve(std::string by = "uid:2") {
    return {.verdict = Verdict::approve, .by = std::move(by)};
  }

  std::string directory_;
  FakeClock clock_;
  std::unique_ptr<store::Store> store_;
  std::optional<Queue> queue_;
};

TEST_F(QueueTest, a_person_approves_once_and_a_second_decision_is_a_conflict) {
  auto review = ask();
  EXPECT_EQ(review.state, "pending");
  EXPECT_EQ(review.expires, review.created + 30 * kSecond);
  EXPECT_EQ(queue_->decide(review.id, approve())->state, "approved");
  EXPECT_EQ(queue_->decide(review.id, approve()).error().code, "review.conflict");
  EXPECT_EQ(queue_->decide(review.id, {.verdict = Verdict::deny, .by = "uid:2"}).error().code,
            "review.conflict");
  EXPECT_EQ(queue_->find(review.id)->decided_by, "uid:2");
}

TEST_F(QueueTest, an_agent_cannot_decide) {
  auto review = ask();
  EXPECT_EQ(queue_->decide(review.id, approve("ag-1")).error().code, "review.not_a_person");
  EXPECT_EQ(queue_->decide(review.id, approve("")).error().code, "review.not_a_person");
  EXPECT_EQ(queue_->find(review.id)->state, "pending");
}

TEST_F(QueueTest, a_decision_about_other_bytes_is_refused) {
  auto review = ask();
  auto request = approve();
  request.digest = "sha256:bb";
  EXPECT_EQ(queue_->decide(review.id, request).error().code, "review.digest_mismatch");
  request.digest = review.digest;
  EXPECT_TRUE(queue_->decide(review.id, request));
}

TEST_F(QueueTest, an_expired_review_cannot_be_approved) {
  auto late = ask(), in_time = ask();
  clock_.time += 30 * kSecond - 1;
  EXPECT_TRUE(queue_->decide(in_time.id, approve()));
  clock_.time += 1;
  EXPECT_EQ(queue_->decide(late.id, approve()).error().code, "review.expired");
}

TEST_F(QueueTest, where_four_eyes_are_demanded_the_sponsor_may_deny_but_not_approve) {
  auto review = ask();
  auto own = approve("uid:1");
  own.approvers = Approvers::other_than_requester;
  EXPECT_EQ(queue_->decide(review.id, own).error().code, "review.same_person");
  own.verdict = Verdict::deny;
  EXPECT_EQ(queue_->decide(review.id, own)->state, "denied");
}

TEST_F(QueueTest, time_out_and_abandonment_end_it_and_are_told_apart) {
  auto a = ask(), b = ask(), c = ask();
  EXPECT_EQ(queue_->time_out(a.id)->state, "timed_out");
  EXPECT_EQ(queue_->abandon(b.id)->state, "abandoned");
  EXPECT_EQ(queue_->decide(a.id, approve()).error().code, "review.conflict");
  EXPECT_EQ(queue_->time_out(b.id).error().code, "review.conflict");
  EXPECT_EQ(queue_->abandon_all()->size(), 1u);
  EXPECT_EQ(queue_->find(c.id)->state, "abandoned");
}

TEST_F(QueueTest, a_workspace_cannot_flood_the_reviewer) {
  for (size_t i = 0; i < Queue::kMaxPendingPerWorkspace; ++i) ask();
  EXPECT_EQ(queue_->open({.workspace = "ws-1"}, 1000).error().code, "review.busy");
  EXPECT_TRUE(queue_->open({.workspace = "ws-2"}, 1000));
}

TEST_F(QueueTest, an_unknown_review_is_not_found) {
  EXPECT_EQ(queue_->find("rv-x").error().code, "review.not_found");
}

TEST_F(QueueTest, one_sponsors_flood_hides_no_other_sponsors_reviews) {
  const std::string mine = queue_->open({.workspace = "ws-a", .sponsor = "uid:9"}, 30'000)->id;
  for (size_t i = 0; i <= Queue::kMaxListed; ++i) ask(fmt::format("ws-{}", i / 50));
  EXPECT_EQ(queue_->list(kPending, "")->size(), Queue::kMaxListed);
  auto own = queue_->list(kPending, "uid:9");
  ASSERT_EQ(own->size(), 1u);
  EXPECT_EQ(own->front().id, mine);
}

TEST_F(QueueTest, the_bound_of_a_workspace_holds_behind_any_number_of_others) {
  for (size_t i = 0; i < Queue::kMaxPendingPerWorkspace; ++i) ask("ws-full");
  for (size_t i = 0; i <= Queue::kMaxListed; ++i) ask(fmt::format("ws-{}", i / 50));
  EXPECT_EQ(queue_->open({.workspace = "ws-full", .sponsor = "uid:1"}, 30'000).error().code, "review.busy");
}

}  // namespace
}  // namespace saw::review
