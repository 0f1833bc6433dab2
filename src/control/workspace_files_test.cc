// Commit, discard and kept calls through the control plane.
#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

class FilesTest : public ControlTest {
 protected:
  void SetUp() override {
    boot_ready();
    put_secret();
    ASSERT_TRUE(create());
    auto started =
        wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "one", std::move(r)); });
    ASSERT_TRUE(started) << started.error().message;
    session_ = *started;
  }
  Result<CommitView> commit(const Caller& caller, FileChange change = {}) {
    return wait<CommitView>(
        [&](auto r) { control_->commit_session(caller, "dev", "one", std::move(change), std::move(r)); });
  }
  SessionView session_;
};

TEST_F(FilesTest, a_commit_ends_what_runs_in_the_session_first_and_the_session_goes_on_in_a_new_sandbox) {
  node_->committed.applied = 3;
  node_->log.clear();
  auto done = commit(kOwner, {.root = "sha256:shown"});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->applied, 3u);
  const auto stopped = std::ranges::find(node_->log, "StopSandbox"),
             committed = std::ranges::find(node_->log, "CommitSession sha256:shown");
  ASSERT_NE(committed, node_->log.end()) << "the root that was shown is the one that is asked for";
  EXPECT_LT(stopped, committed);
  const SessionView now = control_->list_sessions(kOwner, "dev")->at(0);
  EXPECT_EQ(now.state, "running");
  EXPECT_NE(now.sandbox, session_.sandbox);
  EXPECT_TRUE(world_.sandboxes.contains(now.sandbox));
}

TEST_F(FilesTest, a_commit_with_conflicts_is_an_answer_and_the_session_goes_on) {
  node_->committed.conflicting = 1;
  node_->committed.conflicts = {"/workspace/a\nb"};
  auto done = commit(kOwner);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->conflicts, (std::vector<std::string>{"/workspace/a\\x0ab"}));
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->at(0).state, "running");
}

TEST_F(FilesTest, nobody_else_commits_or_discards_a_session) {
  EXPECT_FALSE(commit(kStranger));
  EXPECT_FALSE(
      wait<void>([&](auto r) { control_->discard_session(kStranger, "dev", "one", {}, std::move(r)); }));
  EXPECT_EQ(std::ranges::count(node_->log, "DiscardSession"), 0);
  EXPECT_TRUE(commit(kOwner));
}

TEST_F(FilesTest, a_running_command_keeps_its_session_from_changing_unless_it_may_be_ended) {
  auto handle = exec({.kind = ExecKind::session, .session = "one", .argv = {"sleep"}});
  ASSERT_TRUE(handle) << handle.error().message;
  auto refused = commit(kOwner);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "session.busy");
}

TEST_F(FilesTest,
       a_workspace_on_frozen_layers_is_down_while_something_is_committed_into_it_and_up_again_then) {
  const std::string before = control_->show_workspace(kOwner, "dev")->sandbox;
  node_->stacked = true;
  node_->committed.applied = 3;
  node_->log.clear();
  auto done = commit(kOwner);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->applied, 3u);
  EXPECT_EQ(std::ranges::count(node_->log, "CommitSession "), 2) << "once to be told, once to do it";
  EXPECT_EQ(control_->show_workspace(kOwner, "dev")->state, WorkspaceState::running);
  EXPECT_NE(control_->show_workspace(kOwner, "dev")->sandbox, before);
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->at(0).state, "running");
}

TEST_F(FilesTest, what_runs_in_a_workspace_on_frozen_layers_is_ended_for_a_commit_only_when_that_was_asked) {
  node_->stacked = true;
  node_->busy.insert(control_->show_workspace(kOwner, "dev")->sandbox);
  auto refused = commit(kOwner);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "workspace.conflict");
  EXPECT_NE(refused.error().message.find("--stop"), std::string::npos);
  EXPECT_EQ(control_->show_workspace(kOwner, "dev")->state, WorkspaceState::running);
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->at(0).state, "running");
  EXPECT_TRUE(commit(kOwner, {.running = Running::stop}));
}

TEST_F(FilesTest, a_discard_leaves_the_session_running) {
  ASSERT_TRUE(wait<void>([&](auto r) { control_->discard_session(kOwner, "dev", "one", {}, std::move(r)); }));
  EXPECT_EQ(std::ranges::count(node_->log, "DiscardSession"), 1);
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->at(0).state, "running");
}

}  // namespace
}  // namespace saw::control
