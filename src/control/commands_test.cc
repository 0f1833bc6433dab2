#include "control/commands.h"

#include <csignal>

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

class CommandsTest : public ControlTest {
 protected:
  void SetUp() override {
    boot_ready();
    put_secret();
    auto created = create();
    ASSERT_TRUE(created) << created.error().message;
    workspace_ = created->workspace;
  }
  // A started command; its exit lands in `exit_`.
  std::unique_ptr<CommandHandle> run(ExecRequest request) {
    std::unique_ptr<CommandHandle> handle;
    bool answered = false;
    control_->start_command(kOwner, "dev", std::move(request), [&](Result<std::unique_ptr<CommandHandle>> r) {
      answered = true;
      if (!r) return void(refusal_ = r.error());
      handle = std::move(*r);
      handle->on_exit([this](Exit exit) { exit_ = exit; });
    });
    run_until([&] { return answered; });
    return handle;
  }
  static ExecRequest workspace_command() { return {.kind = ExecKind::workspace, .argv = {"sleep", "1"}}; }

  WorkspaceView workspace_;
  std::optional<Exit> exit_;
  Error refusal_;
};

TEST_F(CommandsTest, a_call_has_a_sandbox_of_its_own_that_is_gone_before_its_exit_is_told) {
  auto handle = run(call());
  ASSERT_TRUE(handle) << refusal_.message;
  ASSERT_EQ(world_.sandboxes.size(), 2u);
  run_quiet();
  const std::string sandbox = node_->execs[1].sandbox;
  EXPECT_NE(sandbox, workspace_.sandbox);
  EXPECT_EQ(egress().channels.at(sandbox).call, handle->call);
  EXPECT_EQ(egress().channels.at(sandbox).credential_id, handle->credential);
  node_->exit(sandbox, 1, 7);
  bool gone_first = false;
  ASSERT_TRUE(run_until([&] {
    if (!exit_) gone_first = world_.sandboxes.size() == 1;
    return exit_.has_value();
  }));
  EXPECT_TRUE(gone_first);
  EXPECT_EQ(exit_->kind, ExitKind::exited);
  EXPECT_EQ(exit_->status, 7);
  EXPECT_FALSE(egress().channels.contains(sandbox));
}

TEST_F(CommandsTest, an_admission_is_recorded_once_with_its_credential) {
  ASSERT_TRUE(run(call()));
  run_quiet();
  EXPECT_EQ(events("command admitted"), 1u);
  EXPECT_EQ(events("runtime credential"), 1u);
}

TEST_F(CommandsTest, a_local_call_does_not_wait_for_the_disk_and_is_recorded_all_the_same) {
  disk_.stalled = true;
  ASSERT_TRUE(run(call())) << refusal_.message;
  EXPECT_EQ(events("command admitted"), 0u);
  disk_.stalled = false;
  for (auto& go : std::exchange(disk_.waiting, {})) go();
  ASSERT_TRUE(run_until([&] { return events("command admitted") == 1; }));
  disk_.full = true;
  ASSERT_TRUE(run(call())) << "the log has not failed yet when it is admitted";
  run_quiet();
  EXPECT_FALSE(run(call()));
  EXPECT_EQ(refusal_.code, "audit.unavailable")
      << "what does not wait is refused too, once the log has failed";
}

TEST_F(CommandsTest, where_the_profile_asks_for_it_nothing_starts_before_its_record_is_durable) {
  WorkspaceSpec careful = spec("careful");
  const std::string local = "profile: local";
  careful.policy_yaml.replace(careful.policy_yaml.find(local), local.size(), "profile: corporate");
  ASSERT_TRUE(create(careful)) << "with this profile";
  const size_t started = node_->execs.size();
  disk_.stalled = true;
  bool answered = false;
  std::unique_ptr<CommandHandle> handle;
  control_->start_command(kOwner, "careful", call(), [&](Result<std::unique_ptr<CommandHandle>> r) {
    answered = true;
    if (r) handle = std::move(*r);
  });
  run_quiet();
  EXPECT_FALSE(answered);
  EXPECT_EQ(node_->execs.size(), started);
  disk_.stalled = false;
  for (auto& go : std::exchange(disk_.waiting, {})) go();
  ASSERT_TRUE(run_until([&] { return answered; }));
  EXPECT_TRUE(handle);
}

TEST_F(CommandsTest, each_call_has_its_own_credential_and_trace) {
  std::set<std::string> credentials, traces, calls;
  for (int i = 0; i < 5; ++i) {
    auto handle = run(call());
    ASSERT_TRUE(handle);
    credentials.insert(handle->credential), traces.insert(handle->trace), calls.insert(handle->call);
  }
  EXPECT_EQ(credentials.size(), 5u);
  EXPECT_EQ(traces.size(), 5u);
  EXPECT_EQ(calls.size(), 5u);
}

TEST_F(CommandsTest, a_suspended_agent_is_refused_its_open_channels_close_and_resuming_brings_them_back) {
  ASSERT_TRUE(control_->register_agent(kOwner, "coder", "to write code"));
  auto running = run(call("coder"));
  ASSERT_TRUE(running) << refusal_.message;
  run_quiet();
  const std::string sandbox = node_->execs[1].sandbox;
  ASSERT_TRUE(egress().channels.contains(sandbox));
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::suspend));
  ASSERT_TRUE(run_until([&] { return !egress().channels.contains(sandbox); }));
  EXPECT_TRUE(egress().channels.contains(workspace_.sandbox))
      << "the workspace's own channel is another agent's";
  EXPECT_FALSE(run(call("coder")));
  EXPECT_EQ(refusal_.code, "identity.agent_suspended");
  run_quiet();
  EXPECT_EQ(events("identity.agent_suspended"), 1u);
  EXPECT_TRUE(run(call())) << "the default agent still may";
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::resume));
  EXPECT_TRUE(run_until([&] { return egress().channels.contains(sandbox); }));
  EXPECT_TRUE(run(call("coder")));
}

TEST_F(CommandsTest, revoking_an_agent_ends_its_calls_for_good) {
  ASSERT_TRUE(control_->register_agent(kOwner, "coder", "to write code"));
  auto running = run(call("coder"));
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::revoke));
  ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
  EXPECT_EQ(world_.sandboxes.size(), 1u);
  EXPECT_FALSE(run(call("coder")));
  EXPECT_EQ(refusal_.code, "identity.agent_revoked");
  EXPECT_EQ(control_->change_agent(kOwner, "coder", AgentVerb::resume).error().code, "agent.conflict");
}

TEST_F(CommandsTest, an_agent_of_somebody_else_cannot_be_named) {
  ASSERT_TRUE(control_->register_agent(kStranger, "theirs", "other work"));
  EXPECT_FALSE(run(call("theirs")));
  EXPECT_EQ(refusal_.code, "identity.agent_unknown");
  EXPECT_EQ(control_->change_agent(kOwner, "theirs", AgentVerb::suspend).error().code, "agent.not_found");
}

TEST_F(CommandsTest, a_disabled_sponsor_is_refused) {
  ASSERT_TRUE(store_->put(store::Sponsor{.id = "uid:1001", .enabled = false}));
  EXPECT_FALSE(run(call()));
  EXPECT_EQ(refusal_.code, "identity.sponsor_disabled");
}

TEST_F(CommandsTest, a_client_that_goes_away_kills_a_call_and_hangs_up_another_command) {
  auto lost = run(call());
  lost.reset();
  ASSERT_TRUE(run_until([&] { return world_.sandboxes.size() == 1; }));
  auto other = run(workspace_command());
  ASSERT_TRUE(other);
  other.reset();
  ASSERT_TRUE(run_until([&] { return !node_->signals.empty(); }));
  EXPECT_EQ(node_->signals[0].signal, SIGHUP);
  EXPECT_EQ(world_.sandboxes.size(), 1u) << "the workspace runs on with nobody attached";
}

TEST_F(CommandsTest, a_call_that_outlives_its_time_is_destroyed_and_says_so) {
  ExecRequest request = call();
  request.timeout_ms = 20;
  auto handle = run(request);
  ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
  EXPECT_EQ(exit_->kind, ExitKind::timed_out);
  EXPECT_EQ(limit(exit_->kind), "wall_clock");
  EXPECT_EQ(world_.sandboxes.size(), 1u);
}

TEST_F(CommandsTest, a_timed_out_command_of_the_workspace_is_killed_and_the_workspace_stays) {
  ExecRequest request = workspace_command();
  request.timeout_ms = 20;
  auto handle = run(request);
  ASSERT_TRUE(run_until([&] { return !node_->signals.empty(); }));
  EXPECT_EQ(node_->signals[0].signal, SIGKILL);
  node_->send(sandbox::ExecExited{
      .sandbox = workspace_.sandbox, .exec = 1, .end = sandbox::ExecEnd::signalled, .status = SIGKILL});
  ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
  EXPECT_EQ(exit_->kind, ExitKind::timed_out);
}

TEST_F(CommandsTest, which_limit_ended_a_command_or_was_met_meanwhile_is_told_and_recorded) {
  using sandbox::ExecEnd;
  auto end = [&](ExecEnd how, int status, sandbox::LimitsMet met) {
    exit_.reset();
    auto handle = run(call());
    run_quiet();
    const auto& [exec, started] = *node_->execs.rbegin();
    node_->pipes.erase(exec);
    node_->send(sandbox::ExecExited{
        .sandbox = started.sandbox, .exec = exec, .end = how, .status = status, .met = met});
    run_until([&] { return exit_.has_value(); });
    run_quiet();  // until it is in the log
    return exit_.value_or(Exit{});
  };
  EXPECT_EQ(limit(end(ExecEnd::out_of_memory, SIGKILL, {.memory_kills = 1}).kind), "memory");
  EXPECT_EQ(limit(end(ExecEnd::file_too_large, SIGXFSZ, {}).kind), "file_size");
  EXPECT_EQ(events(R"("limit":"memory")"), 1u);
  EXPECT_EQ(events(R"("limit":"file_size")"), 1u);
  const Exit refused = end(ExecEnd::exited, 2, {.forks_refused = 7});
  EXPECT_EQ(limit(refused.kind), "") << "its status is its own";
  EXPECT_EQ(refused.forks_refused, 7u);
  EXPECT_EQ(events(R"("forks_refused":7)"), 1u);
  const Exit benign = end(ExecEnd::exited, 2, {});
  EXPECT_EQ(benign.forks_refused, 0u);
  EXPECT_EQ(events(R"("limit":)"), 2u);
}

TEST_F(CommandsTest, stopping_the_workspace_ends_its_calls_first) {
  auto handle = run(call());
  ASSERT_TRUE(handle);
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); }));
  EXPECT_TRUE(world_.sandboxes.empty());
  ASSERT_TRUE(exit_);
  EXPECT_EQ(exit_->kind, ExitKind::sandbox_gone);
}

TEST_F(CommandsTest, a_sandbox_that_ends_by_itself_is_told_to_whoever_waits) {
  auto handle = run(workspace_command());
  world_.sandboxes.clear();
  node_->send(sandbox::SandboxExited{workspace_.sandbox, "killed"});
  ASSERT_TRUE(run_until([&] { return exit_.has_value(); }));
  EXPECT_EQ(exit_->kind, ExitKind::sandbox_gone);
  EXPECT_EQ(control_->show_workspace(kOwner, "dev")->state, WorkspaceState::failed);
}

TEST_F(CommandsTest, a_request_without_sense_is_refused_before_anything_starts) {
  for (ExecRequest bad :
       {ExecRequest{.kind = ExecKind::call}, ExecRequest{.argv = {""}},
        ExecRequest{.argv = {std::string("a\0b", 3)}}, ExecRequest{.directory = "../x", .argv = {"x"}},
        ExecRequest{.argv = {"x"}, .environment = {{"A=B", "c"}}},
        ExecRequest{.argv = {std::string(2u << 20, 'x')}}, ExecRequest{.argv = {"x"}, .timeout_ms = -1}}) {
    EXPECT_FALSE(run(bad));
    EXPECT_TRUE(refusal_.code.starts_with("request.")) << refusal_.code;
  }
  EXPECT_TRUE(node_->execs.empty());
  ExecRequest unknown = call();
  unknown.session = "nope";
  EXPECT_FALSE(run(unknown));
  EXPECT_EQ(refusal_.code, "session.not_found");
}

TEST_F(CommandsTest, a_call_in_a_session_lies_on_the_session_and_ends_with_it) {
  auto session =
      wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "one", std::move(r)); });
  ExecRequest request = call();
  request.session = "one";
  auto handle = run(request);
  ASSERT_TRUE(handle);
  EXPECT_EQ(world_.sandboxes.at(node_->execs[1].sandbox).session, session->id);
  ASSERT_TRUE(wait<void>([&](auto r) { control_->end_session(kOwner, "dev", "one", std::move(r)); }));
  EXPECT_TRUE(exit_);
  EXPECT_EQ(world_.sandboxes.size(), 1u);
}

TEST_F(CommandsTest, a_plan_that_saw_node_has_forgotten_is_prepared_again_once) {
  ASSERT_TRUE(run(call()));
  run_quiet();
  node_->calls.clear();
  node_->log.clear();
  EXPECT_TRUE(run(call())) << refusal_.message;
  EXPECT_EQ((std::vector<std::string>(node_->log.begin(), node_->log.begin() + 3)),
            (std::vector<std::string>{"RunCall", "PrepareCalls", "RunCall"}));
}

TEST_F(CommandsTest, what_is_parked_for_a_workspace_goes_when_it_stops) {
  ASSERT_TRUE(run(call()));
  EXPECT_EQ(node_->calls.size(), 1u);
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); }));
  EXPECT_TRUE(node_->calls.empty());
}

TEST_F(CommandsTest, an_answer_about_forgotten_calls_is_not_taken_for_one_about_the_next) {
  auto restart = [&] {
    return wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); }) &&
           wait<WorkspaceView>([&](auto r) { control_->start_workspace(kOwner, "dev", std::move(r)); });
  };
  run_quiet();
  node_->prove_long = true;
  ASSERT_TRUE(restart());
  ASSERT_TRUE(run_until([&] { return node_->being_proven != 0; }));
  node_->log.clear();
  ASSERT_TRUE(restart());
  EXPECT_TRUE(run(call())) << refusal_.message;
  EXPECT_EQ(std::ranges::count(node_->log, "PrepareCalls"), 1);
}

// The moment is each message to saw-node that a call's start consists of, and the wait for the audit log.
TEST_F(CommandsTest, what_is_admitted_when_its_agent_is_suspended_does_not_start) {
  for (const std::string at : {"admitted", "RunCall"}) {
    ASSERT_TRUE(control_->change_agent(kOwner, "default", AgentVerb::resume));
    run_quiet();
    node_->log = {""};
    bool suspended = false;
    auto suspend = [&] {
      if (std::exchange(suspended, true)) return;
      EXPECT_TRUE(control_->change_agent(kOwner, "default", AgentVerb::suspend));
    };
    node_->fate = [&](size_t) {
      if (at == "RunCall") suspend();
      return FakeNode::Fate::live;
    };
    std::unique_ptr<CommandHandle> handle;
    std::string refusal;
    bool answered = false;
    control_->start_command(kOwner, "dev", call(), [&](Result<std::unique_ptr<CommandHandle>> r) {
      answered = true;
      if (!r) return void(refusal = r.error().code);
      handle = std::move(*r);
      handle->on_exit([](Exit) {});
    });
    if (at == "admitted") suspend();
    ASSERT_TRUE(run_until([&] { return answered; }));
    EXPECT_FALSE(handle) << at;
    EXPECT_EQ(refusal, "identity.agent_suspended") << at;
    run_quiet();
    EXPECT_EQ(world_.sandboxes.size(), 1u) << at;
    EXPECT_EQ(egress().channels.size(), 0u) << at;
    node_->fate = [](size_t) { return FakeNode::Fate::live; };
  }
  ASSERT_TRUE(control_->change_agent(kOwner, "default", AgentVerb::resume));
  EXPECT_TRUE(run(call())) << refusal_.message;
}

TEST_F(CommandsTest, revoking_an_agent_kills_what_it_runs_in_a_shared_sandbox_too) {
  ASSERT_TRUE(control_->register_agent(kOwner, "coder", "codes"));
  auto request = workspace_command();
  auto others = run(request);
  request.agent = "coder";
  auto its = run(request);
  ASSERT_TRUE(its && others);
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::revoke));
  ASSERT_TRUE(run_until([&] { return !node_->signals.empty(); }));
  run_quiet();
  ASSERT_EQ(node_->signals.size(), 1u);
  EXPECT_EQ(node_->signals[0].exec, 2u);
  EXPECT_EQ(node_->signals[0].signal, SIGKILL);
}

}  // namespace
}  // namespace saw::control
