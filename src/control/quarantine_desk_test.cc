#include "control/quarantine_desk.h"

#include <gmock/gmock.h>

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class QuarantineDeskTest : public ControlTest {
 protected:
  void SetUp() override {
    boot_ready();
    put_secret();
    auto created = create();
    ASSERT_TRUE(created) << created.error().message;
  }
  static sandbox::QuarantineItem item(std::string id, std::string place = "/home/agent/.bashrc") {
    return {.id = std::move(id),
            .session = "ss-1",
            .place = std::move(place),
            .rule = ".bashrc",
            .why = "a shell reads it",
            .root = "sha256:aa",
            .changes = 1};
  }
  // As a restart finds it: asking is the same as after a commit.
  std::vector<ReviewView> restart(const std::string& state = "pending") {
    boot_ready();
    run_quiet();
    return control_->list_reviews(kOwner, state).value();
  }
  void put(sandbox::QuarantineItem what) { world_.quarantine[what.id] = std::move(what); }
  ReviewView asked() {
    put(item("qu-1"));
    auto reviews = restart();
    EXPECT_EQ(reviews.size(), 1u);
    return reviews.empty() ? ReviewView{} : reviews[0];
  }
  Result<ReviewView> approve(const ReviewView& review, const Caller& by = kOwner,
                             std::optional<std::string> digest = std::nullopt) {
    return wait<ReviewView>(
        [&](auto r) { control_->approve(by, review.id, std::move(digest), std::move(r)); });
  }
  Result<ReviewView> deny(const ReviewView& review) {
    return wait<ReviewView>([&](auto r) { control_->deny(kOwner, review.id, "no", std::move(r)); });
  }
};

TEST_F(QuarantineDeskTest, what_waits_is_shown_with_its_place_its_reason_and_its_diff) {
  const ReviewView review = asked();
  EXPECT_EQ(review.kind, "quarantine");
  EXPECT_EQ(review.object, "qu-1");
  EXPECT_EQ(review.target, "/home/agent/.bashrc");
  EXPECT_EQ(review.rule, "filesystem.runLater");
  EXPECT_EQ(review.reason, "a shell reads it [.bashrc]");
  EXPECT_EQ(review.digest, "sha256:aa");
  EXPECT_THAT(review.preview, HasSubstr("added /home/agent/.bashrc: nothing -> file 0644, 3 bytes"));
  EXPECT_THAT(review.preview, Not(HasSubstr("\x1b"))) << "a diff cannot move the reader's cursor";
  EXPECT_EQ(events("quarantine.hold"), 1u);
}

TEST_F(QuarantineDeskTest, a_commit_answers_with_the_reviews_of_what_it_held_back) {
  auto session =
      wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "one", std::move(r)); });
  ASSERT_TRUE(session) << session.error().message;
  node_->holds_back = {item("qu-1"), item("qu-2", "/workspace/.vscode")};
  node_->committed = {.applied = 1, .held_back = 2};
  auto done = wait<CommitView>([&](auto r) {
    control_->commit_session(kOwner, "dev", session->id, {.root = "sha256:aa"}, std::move(r));
  });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->reviews.size(), 2u);
  EXPECT_EQ(done->quarantine_problem, "");
  EXPECT_EQ(control_->show_review(kOwner, done->reviews.at(0))->session, session->id);
  EXPECT_EQ(node_->run_later, sandbox::RunLater::quarantine);
}

TEST_F(QuarantineDeskTest, a_policy_that_denies_has_the_commit_deny) {
  WorkspaceSpec strict = spec("strict");
  strict.policy_yaml.insert(strict.policy_yaml.find("  write:"), "  runLater: deny\n");
  auto created = create(strict);
  ASSERT_TRUE(created) << created.error().message;
  auto session =
      wait<SessionView>([&](auto r) { control_->start_session(kOwner, "strict", "one", std::move(r)); });
  ASSERT_TRUE(session) << session.error().message;
  ASSERT_TRUE(wait<CommitView>([&](auto r) {
    control_->commit_session(kOwner, "strict", session->id, {.root = "sha256:aa"}, std::move(r));
  }));
  EXPECT_EQ(node_->run_later, sandbox::RunLater::deny);
}

TEST_F(QuarantineDeskTest, all_of_it_can_be_looked_at_by_those_who_may_decide) {
  const ReviewView review = asked();
  const auto diff = [&](const Caller& by) {
    return wait<DiffView>([&](auto r) { control_->diff_review(by, review.id, std::move(r)); });
  };
  auto shown = diff(kOwner);
  ASSERT_TRUE(shown) << shown.error().message;
  EXPECT_EQ(shown->root, review.digest);
  EXPECT_EQ(shown->changes.at(0).path, "/home/agent/.bashrc");
  EXPECT_EQ(diff(kStranger).error().code, "access.denied");
}

TEST_F(QuarantineDeskTest, an_approval_is_recorded_and_then_releases_exactly_that) {
  const ReviewView review = asked();
  auto approved = approve(review, kOwner, review.digest);
  ASSERT_TRUE(approved) << approved.error().message;
  EXPECT_EQ(approved->state, "approved");
  EXPECT_THAT(world_.released, ElementsAre("/home/agent/.bashrc"));
  EXPECT_EQ(events("quarantine.release"), 1u);
  EXPECT_EQ(approve(review).error().code, "review.conflict");
  EXPECT_EQ(world_.released.size(), 1u);
}

TEST_F(QuarantineDeskTest, another_digest_than_the_one_that_was_seen_releases_nothing) {
  const ReviewView review = asked();
  EXPECT_EQ(approve(review, kOwner, "sha256:bb").error().code, "review.digest_mismatch");
  EXPECT_THAT(world_.released, IsEmpty());
}

TEST_F(QuarantineDeskTest, an_approval_that_cannot_be_recorded_releases_nothing_until_it_can) {
  const ReviewView review = asked();
  disk_.full = true;
  EXPECT_EQ(approve(review).error().code, "audit.unavailable");
  EXPECT_THAT(world_.released, IsEmpty());
  disk_.full = false;
  restart();
  EXPECT_THAT(world_.released, ElementsAre("/home/agent/.bashrc"));
}

TEST_F(QuarantineDeskTest, a_stranger_neither_sees_nor_releases) {
  const ReviewView review = asked();
  EXPECT_THAT(*control_->list_reviews(kStranger, ""), IsEmpty());
  EXPECT_EQ(approve(review, kStranger).error().code, "access.denied");
  EXPECT_THAT(world_.released, IsEmpty());
  EXPECT_TRUE(approve(review, kOperator));
}

TEST_F(QuarantineDeskTest, a_rejected_item_goes_and_the_same_session_is_not_asked_about_again) {
  const ReviewView review = asked();
  ASSERT_TRUE(deny(review));
  run_quiet();
  EXPECT_THAT(world_.quarantine, IsEmpty());
  EXPECT_EQ(events("quarantine.reject"), 1u);
  put(item("qu-2"));
  EXPECT_THAT(restart(), IsEmpty());
  EXPECT_THAT(world_.quarantine, IsEmpty());
  auto other = item("qu-3");
  other.root = "sha256:cc";
  put(other);
  EXPECT_EQ(restart().size(), 1u) << "something else is asked about";
}

TEST_F(QuarantineDeskTest, a_restart_keeps_what_waits_and_asks_nobody_twice) {
  const ReviewView review = asked();
  const auto after = restart();
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].id, review.id);
  EXPECT_EQ(events("quarantine.hold"), 1u);
}

TEST_F(QuarantineDeskTest, a_release_that_a_crash_interrupted_is_carried_out_at_the_next_start) {
  const ReviewView review = asked();
  bool lost = false;
  node_->fate = [&](size_t) {
    lost = true;
    return FakeNode::Fate::lost_before;
  };
  control_->approve(kOwner, review.id, std::nullopt, [](Result<ReviewView>) {});
  ASSERT_TRUE(run_until([&] { return lost; }));
  EXPECT_THAT(world_.released, IsEmpty());
  restart();
  EXPECT_THAT(world_.released, ElementsAre("/home/agent/.bashrc"));
}

TEST_F(QuarantineDeskTest, what_changed_since_is_not_released_and_is_asked_about_anew) {
  const ReviewView review = asked();
  world_.quarantine["qu-1"].root = "sha256:bb";  // the workspace changed underneath
  EXPECT_EQ(approve(review).error().code, "commit.root");
  EXPECT_THAT(world_.released, IsEmpty());
  run_quiet();
  EXPECT_EQ(events("quarantine.fail"), 1u);
  const auto again = control_->list_reviews(kOwner, "pending").value();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_NE(again[0].id, review.id);
  EXPECT_EQ(again[0].digest, "sha256:bb");
  EXPECT_TRUE(approve(again[0]));
}

TEST_F(QuarantineDeskTest, nobody_deciding_for_long_ends_it) {
  const ReviewView review = asked();
  clock_.time += QuarantineDesk::kPatienceMs * kMillisecond + 1;
  EXPECT_EQ(approve(review).error().code, "review.expired");
  restart();
  EXPECT_THAT(world_.quarantine, IsEmpty());
  EXPECT_EQ(control_->show_review(kOwner, review.id)->state, "timed_out");
}

TEST_F(QuarantineDeskTest, reviews_of_what_is_gone_are_closed) {
  const ReviewView review = asked();
  world_.quarantine.clear();
  restart();
  EXPECT_EQ(control_->show_review(kOwner, review.id)->state, "abandoned");
}

TEST_F(QuarantineDeskTest, a_decommissioned_workspace_leaves_no_question_behind) {
  const ReviewView review = asked();
  ASSERT_TRUE(
      wait<WorkspaceView>([&](auto r) { control_->decommission_workspace(kOwner, "dev", std::move(r)); }));
  EXPECT_EQ(control_->show_review(kOperator, review.id)->state, "abandoned");
}

TEST(QuarantinePreview, is_bounded_and_says_how_much_is_missing) {
  sandbox::Changes changes;
  changes.changes.push_back({.path = "/x", .lines = std::string(100'000, 'a') + "\nend\n"});
  for (int i = 0; i < 1000; ++i) changes.changes.push_back({.path = fmt::format("/workspace/{}", i)});
  const std::string text = quarantine_preview(changes);
  EXPECT_LT(text.size(), QuarantineDesk::kMaxPreview + 100);
  EXPECT_THAT(text, HasSubstr("bytes more, which are not shown"));
}

// ---- workspaces on frozen layers

TEST_F(QuarantineDeskTest, what_is_approved_is_released_while_its_workspace_is_down) {
  const ReviewView review = asked();
  node_->stacked = true;
  auto approved = approve(review);
  ASSERT_TRUE(approved) << approved.error().message;
  EXPECT_THAT(world_.released, ElementsAre("/home/agent/.bashrc"));
  EXPECT_EQ(control_->show_workspace(kOwner, "dev")->state, WorkspaceState::running);
}

TEST_F(QuarantineDeskTest, what_runs_in_the_workspace_keeps_a_release_waiting_and_somebody_is_asked_again) {
  const ReviewView review = asked();
  node_->stacked = true;
  node_->busy.insert(control_->show_workspace(kOwner, "dev")->sandbox);
  auto approved = approve(review);
  ASSERT_FALSE(approved);
  EXPECT_EQ(approved.error().code, "workspace.conflict");
  EXPECT_THAT(world_.released, IsEmpty());
  run_quiet();
  const auto again = control_->list_reviews(kOwner, "pending").value();
  ASSERT_EQ(again.size(), 1u);
  node_->busy.clear();
  EXPECT_TRUE(approve(again[0]));
}

TEST_F(QuarantineDeskTest, nobody_is_asked_about_what_went_with_a_rebuilt_workspace) {
  const ReviewView review = asked();
  auto rebuilt =
      wait<WorkspaceView>([&](auto r) { control_->rebuild_workspace(kOwner, "dev", "", std::move(r)); });
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  EXPECT_THAT(control_->list_reviews(kOwner, "pending").value(), IsEmpty());
  run_quiet();
  EXPECT_EQ(events("quarantine.abandon"), 1u);
  EXPECT_FALSE(approve(review));
}

TEST_F(QuarantineDeskTest, nobody_is_asked_about_what_is_gone_although_its_workspace_did_not_start_again) {
  asked();
  node_->refuse_sandboxes = "sandbox.build";
  auto rebuilt =
      wait<WorkspaceView>([&](auto r) { control_->rebuild_workspace(kOwner, "dev", "", std::move(r)); });
  EXPECT_FALSE(rebuilt);
  EXPECT_THAT(world_.rebuilt, ElementsAre(""));
  EXPECT_THAT(control_->list_reviews(kOwner, "pending").value(), IsEmpty());
  EXPECT_EQ(events("nothing that was written in it is left"), 1u) << "and the log says so";
}

}  // namespace
}  // namespace saw::control
