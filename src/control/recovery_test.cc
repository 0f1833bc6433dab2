// kill -9 of sawd at every step: whatever request of the work below is the last one that saw-node sees, the
// next sawd converges (R5).
#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

using Fate = FakeNode::Fate;

class RecoveryTest : public ControlTest {
 protected:
  // What every restart must come to: stored and running agree, nothing is there twice, nothing is there that
  // nobody knows.
  void expect_converged() {
    boot();
    ASSERT_TRUE(run_until([&] { return node_->ready; }));
    run_quiet();
    std::set<std::string> wanted;
    size_t storages = 0;
    for (const store::Workspace& w : *store_->workspaces()) {
      ++storages;
      EXPECT_NE(w.desired, store::Desired::gone) << "a begun decommission is finished";
      const WorkspaceView view = *control_->show_workspace(kOwner, w.id);
      EXPECT_EQ(view.state,
                w.desired == store::Desired::running ? WorkspaceState::running : WorkspaceState::stopped)
          << view.error;
      if (w.desired != store::Desired::running) continue;
      wanted.insert(w.sandbox);
      EXPECT_TRUE(node_->egresses.at(w.id)->channels.contains(w.sandbox))
          << "an adopted sandbox has its network again";
    }
    for (const store::Session& s : *store_->sessions()) {
      EXPECT_EQ(s.desired, store::Desired::running);
      ++storages;
      wanted.insert(s.sandbox);
    }
    std::set<std::string> there;
    for (const auto& [id, plan] : world_.sandboxes) there.insert(id);
    EXPECT_EQ(there, wanted);
    for (const auto& [id, starts] : world_.starts) EXPECT_EQ(starts, 1) << id;
    EXPECT_EQ(world_.storage.size(), storages);
  }

  // create → session → call → session end → stop → start → decommission; ends early when the fake node is
  // dead.
  void work() {
    if (!control_->put_secret(kOwner, "github-token", "x")) return;
    auto go = [&](auto&& result) { return result.has_value(); };
    quick_ = true;
    if (!go(wait_quick<WorkspaceCreated>(
            [&](auto r) { control_->create_workspace(kOwner, spec(), std::move(r)); })))
      return;
    if (!go(wait_quick<SessionView>(
            [&](auto r) { control_->start_session(kOwner, "dev", "one", std::move(r)); })))
      return;
    if (!go(wait_quick<std::unique_ptr<CommandHandle>>(
            [&](auto r) { control_->start_command(kOwner, "dev", call(), std::move(r)); })))
      return;
    if (!go(wait_quick<void>([&](auto r) { control_->end_session(kOwner, "dev", "one", std::move(r)); })))
      return;
    if (!go(wait_quick<WorkspaceView>(
            [&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); })))
      return;
    if (!go(wait_quick<WorkspaceView>(
            [&](auto r) { control_->start_workspace(kOwner, "dev", std::move(r)); })))
      return;
    if (!go(wait_quick<WorkspaceView>(
            [&](auto r) { control_->decommission_workspace(kOwner, "dev", std::move(r)); })))
      return;
    completed_ = true;
  }
  template <class T> Result<T> wait_quick(const std::function<void(Reply<T>)>& start) {
    auto slot = std::make_shared<std::optional<Result<T>>>();
    start([slot](Result<T> result) { slot->emplace(std::move(result)); });
    if (!run_until([&] { return slot->has_value(); }, 80)) return Error::make("test.dead", "no answer");
    return std::move(**slot);
  }
  void kill_everywhere(Fate fate) {
    for (size_t step = 1;; ++step) {
      SCOPED_TRACE(fmt::format("killed at request {}", step));
      world_ = {};
      std::filesystem::remove_all(directory_);
      std::filesystem::create_directory(directory_);
      completed_ = false;
      boot([step, fate](size_t number) { return number == step ? fate : Fate::live; });
      if (run_until([&] { return node_->ready; }, 80)) work();
      expect_converged();
      if (HasFatalFailure() || completed_) {
        EXPECT_GT(step, 10u);
        return;
      }
      ASSERT_LT(step, 200u);
    }
  }
  bool quick_ = false, completed_ = false;
};

TEST_F(RecoveryTest, killed_before_any_request_is_carried_out_it_converges) {
  kill_everywhere(Fate::lost_before);
}
TEST_F(RecoveryTest, killed_before_any_answer_arrives_it_converges) {
  kill_everywhere(Fate::lost_after);
}

TEST_F(RecoveryTest, running_sandboxes_are_adopted_and_not_started_again) {
  boot_ready();
  put_secret();
  auto created = create();
  ASSERT_TRUE(
      wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "one", std::move(r)); }));
  boot_ready();
  EXPECT_EQ(control_->show_workspace(kOwner, "dev")->sandbox, created->workspace.sandbox);
  EXPECT_EQ(control_->list_sessions(kOwner, "dev")->at(0).state, "running");
  EXPECT_EQ(std::ranges::count(node_->log, "StartSandbox"), 0);
}

TEST_F(RecoveryTest, call_sandboxes_of_before_the_restart_are_stopped) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  auto handle = exec(call());
  ASSERT_EQ(world_.sandboxes.size(), 2u);
  boot_ready();
  EXPECT_TRUE(run_until([&] { return world_.sandboxes.size() == 1; }));
}

TEST_F(RecoveryTest, a_suspended_agent_stays_suspended_and_its_channel_closed) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  ASSERT_TRUE(control_->change_agent(kOwner, "default", AgentVerb::suspend));
  boot_ready();
  run_quiet();
  EXPECT_TRUE(egress().channels.empty());
  EXPECT_EQ(exec(call()).error().code, "identity.agent_suspended");
}

TEST_F(RecoveryTest, before_it_is_ready_nothing_is_served_but_the_status) {
  boot([](size_t) { return Fate::lost_before; });
  run_until([] { return false; }, 50);
  EXPECT_EQ(control_->status(kOwner).state, "recovering");
  EXPECT_EQ(control_->list_workspaces(kOwner).error().code, "control.not_ready");
  EXPECT_EQ(create().error().code, "control.not_ready");
}

TEST_F(RecoveryTest, a_workspace_whose_stored_policy_is_damaged_does_not_stop_the_others) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  ASSERT_TRUE(create(spec("other")));
  control_.reset();
  auto all = store_->workspaces().value();
  ASSERT_TRUE(store_->remove_workspace(all[0].id));
  all[0].policy_yaml = "broken: [";
  ASSERT_TRUE(store_->put(all[0]));
  boot_ready();
  EXPECT_EQ(control_->list_workspaces(kOwner)->size(), 1u);
  EXPECT_TRUE(run_until([&] { return world_.sandboxes.size() == 1; }))
      << "fail closed: what cannot be judged does not run";
}

}  // namespace
}  // namespace saw::control
