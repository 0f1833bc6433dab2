#include <gmock/gmock.h>

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using What = Control::WhatRuns;

class WorkspaceForkTest : public ControlTest {
 protected:
  void SetUp() override {
    boot_ready();
    put_secret();
    ASSERT_TRUE(create());
  }
  Result<WorkspaceView> fork(const std::string& name, What what = What::stays, const Caller& by = kOwner) {
    return wait<WorkspaceView>(
        [&](auto reply) { control_->fork_workspace(by, "dev", name, what, std::move(reply)); });
  }
  Result<SessionView> session(const std::string& name) {
    return wait<SessionView>(
        [&](auto reply) { control_->start_session(kOwner, "dev", name, std::move(reply)); });
  }
  Result<SessionView> fork_session(const std::string& from, const std::string& name,
                                   What what = What::stays) {
    return wait<SessionView>(
        [&](auto reply) { control_->fork_session(kOwner, "dev", from, name, what, std::move(reply)); });
  }
  Result<WorkspaceView> rebuild(const std::string& snapshot = {}) {
    return wait<WorkspaceView>(
        [&](auto reply) { control_->rebuild_workspace(kOwner, "dev", snapshot, std::move(reply)); });
  }
  WorkspaceView show(std::string_view name = "dev") { return *control_->show_workspace(kOwner, name); }
};

TEST_F(WorkspaceForkTest, a_fork_runs_with_an_identity_of_its_own_and_the_first_runs_again) {
  const WorkspaceView before = show();
  auto made = fork("second");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->state, WorkspaceState::running);
  EXPECT_EQ(made->policy_digest, before.policy_digest);
  EXPECT_NE(made->id, before.id);
  EXPECT_EQ(show().state, WorkspaceState::running);
  EXPECT_NE(show().sandbox, before.sandbox);
  EXPECT_THAT(world_.sandboxes, SizeIs(2));
  for (const auto& [id, starts] : world_.starts) EXPECT_EQ(starts, 1) << id;
  EXPECT_NE(node_->egresses.at(made->id)->configuration.placeholders,
            node_->egresses.at(before.id)->configuration.placeholders);
}

TEST_F(WorkspaceForkTest, what_runs_is_only_ended_when_that_was_asked_for) {
  node_->busy.insert(show().sandbox);
  const std::string sandbox = show().sandbox;
  auto refused = fork("second");
  EXPECT_EQ(refused.error().code, "workspace.conflict");
  EXPECT_NE(refused.error().message.find("--stop"), std::string::npos);
  run_quiet();
  EXPECT_EQ(show().sandbox, sandbox) << "it went on";
  EXPECT_EQ(show().state, WorkspaceState::running);
  EXPECT_EQ(control_->show_workspace(kOwner, "second").error().code, "workspace.not_found");
  EXPECT_TRUE(fork("second", What::ends));
}

TEST_F(WorkspaceForkTest, a_stranger_and_a_name_that_is_taken_are_refused) {
  EXPECT_EQ(fork("second", What::ends, kStranger).error().code, "access.denied");
  EXPECT_EQ(fork("dev").error().code, "workspace.conflict");
  EXPECT_EQ(fork("../x").error().code.substr(0, 8), "request.");
  EXPECT_THAT(node_->log, testing::Not(Contains("ForkStorage")));
  EXPECT_TRUE(fork("second"));
  EXPECT_EQ(create(spec("second")).error().code, "workspace.conflict")
      << "a fork is nothing that was asked for";
}

TEST_F(WorkspaceForkTest, a_fork_that_saw_node_refuses_leaves_nothing_and_the_first_goes_on) {
  node_->refuse_forks = "storage.depth";
  EXPECT_EQ(fork("second").error().code, "storage.depth");
  run_quiet();
  EXPECT_THAT(control_->list_workspaces(kOwner).value(), SizeIs(1));
  EXPECT_THAT(*store_->workspaces(), SizeIs(1));
  EXPECT_EQ(show().state, WorkspaceState::running);
  node_->refuse_forks.clear();
  EXPECT_TRUE(fork("second"));
}

TEST_F(WorkspaceForkTest, a_stopped_workspace_is_forked_without_being_started) {
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); }));
  ASSERT_TRUE(fork("second"));
  EXPECT_EQ(show().state, WorkspaceState::stopped);
  EXPECT_EQ(show("second").state, WorkspaceState::running);
}

TEST_F(WorkspaceForkTest, a_revoked_workspace_does_not_go_on_as_a_fork_of_itself) {
  ASSERT_TRUE(fork("second")) << "while nothing is revoked";
  node_->hold_forks = true;
  std::string code;
  control_->fork_workspace(kOwner, "dev", "third", What::stays,
                           [&](auto forked) { code = forked ? "ok" : forked.error().code; });
  ASSERT_TRUE(run_until([&] { return node_->held_forks.size() == 1; }));
  ASSERT_TRUE(control_->revoke(kOwner, "workspace", "dev", ""));
  node_->hold_forks = false;
  node_->finish_forks();
  ASSERT_TRUE(run_until([&] { return !code.empty(); }));
  EXPECT_EQ(code, "identity.workspace_revoked") << "of one that was under way";
  EXPECT_EQ(fork("third").error().code, "identity.workspace_revoked");
  run_quiet();
  EXPECT_THAT(world_.storage, SizeIs(2)) << "nothing of it is left";
  EXPECT_TRUE(wait<WorkspaceView>([&](auto reply) {
    control_->fork_workspace(kOwner, "second", "third", What::stays, std::move(reply));
  })) << "the fork from before is a workspace of its own";
}

// kill -9 of sawd, or a lost link, at each of its requests.
TEST_F(WorkspaceForkTest, after_a_crash_at_any_step_there_is_a_whole_fork_or_none_and_the_first_runs) {
  for (size_t at = 1; at < 40; ++at) {
    for (auto lost : {FakeNode::Fate::lost_before, FakeNode::Fate::lost_after}) {
      const size_t storages = world_.storage.size();
      boot([](size_t) { return FakeNode::Fate::live; });
      ASSERT_TRUE(run_until([&] { return node_->ready; }));
      size_t seen = 0;
      node_->fate = [&](size_t) { return ++seen == at ? lost : FakeNode::Fate::live; };
      bool answered = false;
      control_->fork_workspace(kOwner, "dev", "second", What::stays, [&](auto) { answered = true; });
      run_until([&] { return answered; }, 60);
      boot_ready();
      run_quiet();
      EXPECT_EQ(show().state, WorkspaceState::running);
      const bool whole = control_->show_workspace(kOwner, "second").has_value();
      EXPECT_EQ(control_->list_workspaces(kOwner)->size(), whole ? 2u : 1u) << "at request " << at;
      EXPECT_EQ(world_.storage.size(), storages + (whole ? 1 : 0)) << "at request " << at;
      if (whole) {
        EXPECT_EQ(show("second").state, WorkspaceState::running);
        ASSERT_TRUE(wait<WorkspaceView>(
            [&](auto reply) { control_->decommission_workspace(kOwner, "second", std::move(reply)); }));
      }
      if (seen < at) return;  // there were no more
    }
  }
  FAIL() << "a fork takes more requests than that";
}

TEST_F(WorkspaceForkTest, a_session_is_forked_and_both_run_then) {
  ASSERT_TRUE(session("one"));
  auto two = fork_session("one", "two");
  ASSERT_TRUE(two) << two.error().message;
  EXPECT_EQ(two->state, "running");
  EXPECT_THAT(control_->list_sessions(kOwner, "dev").value(), SizeIs(2));
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->at(0).state, "running");
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->at(1).state, "running");
  EXPECT_EQ(fork_session("one", "two").error().code, "session.conflict");
  EXPECT_EQ(fork_session("none", "three").error().code, "session.not_found");
}

TEST_F(WorkspaceForkTest, a_session_fork_that_fails_leaves_no_session_and_the_first_goes_on) {
  ASSERT_TRUE(session("one"));
  node_->refuse_forks = "storage.depth";
  EXPECT_EQ(fork_session("one", "two").error().code, "storage.depth");
  run_quiet();
  ASSERT_THAT(control_->list_sessions(kOwner, "dev").value(), SizeIs(1));
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->front().state, "running");
  EXPECT_THAT(*store_->sessions(), SizeIs(1));
}

TEST_F(WorkspaceForkTest, rebuilding_ends_the_sessions_and_starts_a_new_sandbox) {
  ASSERT_TRUE(session("one"));
  const std::string before = show().sandbox;
  auto built = rebuild();
  ASSERT_TRUE(built) << built.error().message;
  EXPECT_EQ(built->state, WorkspaceState::running);
  EXPECT_NE(built->sandbox, before);
  EXPECT_THAT(control_->list_sessions(kOwner, "dev").value(), IsEmpty());
  EXPECT_THAT(*store_->sessions(), IsEmpty());
  EXPECT_THAT(world_.rebuilt, ElementsAre(""));
}

TEST_F(WorkspaceForkTest, an_unknown_snapshot_costs_nobody_a_session) {
  ASSERT_TRUE(session("one"));
  EXPECT_EQ(rebuild("none").error().code, "snapshot.not_found");
  EXPECT_THAT(control_->list_sessions(kOwner, "dev").value(), SizeIs(1));
  EXPECT_THAT(world_.rebuilt, IsEmpty());
  ASSERT_TRUE(wait<SnapshotView>(
      [&](auto reply) { control_->take_snapshot(kOwner, "dev", "none", What::stays, std::move(reply)); }));
  EXPECT_TRUE(rebuild("none"));
  EXPECT_THAT(world_.rebuilt, ElementsAre("none"));
}

// ---- two at once

TEST_F(WorkspaceForkTest, two_forks_at_once_to_one_name_make_one_workspace_of_that_name) {
  ASSERT_TRUE(create(spec("other")));
  node_->hold_forks = true;
  std::vector<std::string> codes;
  for (const char* source : {"dev", "other"})
    control_->fork_workspace(kOwner, source, "second", What::stays,
                             [&](auto forked) { codes.push_back(forked ? "ok" : forked.error().code); });
  ASSERT_TRUE(run_until([&] { return !node_->held_forks.empty(); }));
  EXPECT_EQ(create(spec("second")).error().code, "workspace.conflict") << "the name is taken already";
  node_->hold_forks = false;
  node_->finish_forks();
  ASSERT_TRUE(run_until([&] { return codes.size() == 2; }));
  EXPECT_THAT(codes, testing::UnorderedElementsAre("ok", "workspace.conflict"));
  EXPECT_THAT(control_->list_workspaces(kOwner).value(), SizeIs(3));
}

TEST_F(WorkspaceForkTest, a_second_rebuild_is_refused_while_one_runs_and_the_first_is_answered) {
  for (const char* name : {"good", "bad"})
    ASSERT_TRUE(wait<SnapshotView>(
        [&](auto r) { control_->take_snapshot(kOwner, "dev", name, What::stays, std::move(r)); }));
  ASSERT_TRUE(session("one"));
  std::map<std::string, std::string> codes;
  for (const char* name : {"good", "bad"})
    control_->rebuild_workspace(kOwner, "dev", name, [&codes, name](auto rebuilt) {
      codes[name] = rebuilt ? "ok" : rebuilt.error().code;
    });
  ASSERT_TRUE(run_until([&] { return codes.size() == 2; })) << "one of them was never answered";
  EXPECT_EQ(codes["good"], "ok");
  EXPECT_EQ(codes["bad"], "workspace.conflict");
  EXPECT_THAT(world_.rebuilt, ElementsAre("good"));
  EXPECT_TRUE(rebuild("bad")) << "afterwards it is free again";
}

TEST_F(WorkspaceForkTest,
       a_session_that_is_being_forked_is_neither_committed_nor_ended_nor_forked_meanwhile) {
  ASSERT_TRUE(session("one"));
  node_->hold_forks = true;
  std::string code;
  control_->fork_session(kOwner, "dev", "one", "two", What::stays,
                         [&](auto forked) { code = forked ? "ok" : forked.error().code; });
  ASSERT_TRUE(run_until([&] { return node_->held_forks.size() == 1; }));
  EXPECT_EQ(
      wait<CommitView>([&](auto r) { control_->commit_session(kOwner, "dev", "one", {}, std::move(r)); })
          .error()
          .code,
      "session.conflict");
  EXPECT_EQ(
      wait<void>([&](auto r) { control_->end_session(kOwner, "dev", "one", std::move(r)); }).error().code,
      "session.conflict");
  EXPECT_EQ(fork_session("one", "three").error().code, "session.conflict");
  node_->hold_forks = false;
  node_->finish_forks();
  ASSERT_TRUE(run_until([&] { return !code.empty(); }));
  EXPECT_EQ(code, "ok");
  EXPECT_TRUE(fork_session("one", "three")) << "afterwards it is";
}

TEST_F(WorkspaceForkTest, no_session_runs_in_a_workspace_that_was_stopped_while_it_was_forked) {
  ASSERT_TRUE(session("one"));
  node_->hold_forks = true;
  std::string code;
  control_->fork_session(kOwner, "dev", "one", "two", What::stays,
                         [&](auto forked) { code = forked ? "ok" : forked.error().code; });
  ASSERT_TRUE(run_until([&] { return node_->held_forks.size() == 1; }));
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); }));
  node_->hold_forks = false;
  node_->finish_forks();
  ASSERT_TRUE(run_until([&] { return !code.empty(); }));
  run_quiet();
  EXPECT_EQ(code, "session.conflict");
  EXPECT_EQ(show().state, WorkspaceState::stopped);
  EXPECT_THAT(world_.sandboxes, IsEmpty()) << "a stopped workspace has none";
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->start_workspace(kOwner, "dev", std::move(r)); }));
  ASSERT_THAT(control_->list_sessions(kOwner, "dev").value(), SizeIs(1));
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->front().state, "running");
}

TEST_F(WorkspaceForkTest, a_session_that_was_forked_goes_on_in_a_sandbox_of_another_id) {
  ASSERT_TRUE(session("one"));
  ASSERT_TRUE(fork_session("one", "two"));
  for (const auto& [id, starts] : world_.starts) EXPECT_EQ(starts, 1) << id;
}

// ---- who it was

TEST_F(WorkspaceForkTest, the_log_names_who_took_a_snapshot_forked_a_session_and_rebuilt_before_it_is_done) {
  ASSERT_TRUE(session("one"));
  ASSERT_TRUE(wait<SnapshotView>(
      [&](auto r) { control_->take_snapshot(kOperator, "dev", "good", What::stays, std::move(r)); }));
  ASSERT_TRUE(wait<SessionView>(
      [&](auto r) { control_->fork_session(kOperator, "dev", "one", "two", What::stays, std::move(r)); }));
  ASSERT_TRUE(wait<WorkspaceView>(
      [&](auto r) { control_->rebuild_workspace(kOperator, "dev", "good", std::move(r)); }));
  for (const char* what : {"uid:1000: snapshot 'good' of workspace 'dev'",
                           "uid:1000: fork session 'one' of workspace 'dev' to 'two'",
                           "uid:1000: rebuild workspace 'dev' from snapshot 'good'"})
    EXPECT_EQ(events(what), 1u) << what;
}

}  // namespace
}  // namespace saw::control
