#include "control/control.h"

#include <csignal>

#include <sys/resource.h>

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

TEST_F(ControlTest, a_workspace_runs_with_storage_egress_and_a_bound_channel_when_create_answers) {
  boot_ready();
  put_secret();
  auto created = create();
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->created, Created::now);
  EXPECT_EQ(created->workspace.state, WorkspaceState::running);
  EXPECT_EQ(world_.storage.size(), 1u);
  ASSERT_EQ(world_.sandboxes.size(), 1u);
  run_quiet();
  EXPECT_EQ(egress().channels.at(created->workspace.sandbox).sponsor, "uid:1001");
  EXPECT_EQ(egress().perimeters, 1);
  EXPECT_EQ(egress().ledgers, 1);
  EXPECT_EQ(node_->clients, 1u);
}

TEST_F(ControlTest, the_sandbox_gets_a_placeholder_and_only_its_egress_gets_the_secret) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  EXPECT_EQ(egress().configuration.secrets.at("github-token"), "ghp_raw_secret");
  auto handle = exec(call());
  ASSERT_TRUE(handle) << handle.error().message;
  std::string variable;
  for (const std::string& entry : node_->execs.begin()->second.spec.environment) {
    EXPECT_EQ(entry.find("ghp_raw_secret"), entry.npos);
    if (entry.starts_with("GITHUB_TOKEN=")) variable = entry.substr(13);
  }
  EXPECT_TRUE(variable.starts_with("saw-placeholder-"));
  EXPECT_EQ(egress().configuration.placeholders.at("github-token"), variable);
  EXPECT_EQ(events("ghp_raw_secret"), 0u);
}

TEST_F(ControlTest, a_missing_secret_refuses_the_workspace_and_says_how_to_store_it) {
  boot_ready();
  auto created = create();
  EXPECT_EQ(created.error().code, "secret.missing");
  EXPECT_NE(created.error().message.find("saw secret put github-token"), std::string::npos);
  ASSERT_TRUE(control_->put_secret(kStranger, "github-token", "somebody else's"));
  EXPECT_EQ(create().error().code, "secret.missing") << "another user's secret must not serve";
  EXPECT_TRUE(world_.storage.empty());
}

TEST_F(ControlTest, rotating_a_secret_reaches_the_running_egress) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  const uint64_t epoch = egress().configuration.epoch;
  ASSERT_TRUE(control_->put_secret(kOwner, "github-token", "ghp_second"));
  ASSERT_TRUE(run_until([&] { return egress().configuration.secrets.at("github-token") == "ghp_second"; }));
  EXPECT_GT(egress().configuration.epoch, epoch);
}

TEST_F(ControlTest, creating_the_same_workspace_again_changes_nothing_and_other_content_is_a_conflict) {
  boot_ready();
  put_secret();
  auto first = create();
  ASSERT_TRUE(first);
  auto again = create();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->created, Created::before);
  EXPECT_EQ(again->workspace.id, first->workspace.id);
  WorkspaceSpec other = spec();
  other.pids = 7;
  EXPECT_EQ(create(other).error().code, "workspace.conflict");
  EXPECT_EQ(world_.sandboxes.size(), 1u);
}

TEST_F(ControlTest, what_cannot_be_given_is_refused_before_anything_exists) {
  boot_ready();
  put_secret();
  WorkspaceSpec bad = spec();
  bad.policy_yaml = "apiVersion: saw/v1\nkind: Policy\nnetwrok: []\n";
  auto refused = create(bad);
  EXPECT_EQ(refused.error().code, "policy.invalid");
  EXPECT_NE(refused.error().message.find("test.yaml:"), std::string::npos) << refused.error().message;
  bad = spec();
  bad.policy_yaml.insert(bad.policy_yaml.find("    credential: github"), "    data: private\n");
  refused = create(bad);
  EXPECT_EQ(refused.error().code, "policy.not_available_yet");
  EXPECT_NE(refused.error().message.find("network.api: data: private"), std::string::npos)
      << refused.error().message;
  bad = spec();
  bad.isolation = "vm";
  EXPECT_EQ(create(bad).error().code, "not_available_yet");
  bad = spec();
  bad.profile = "public";
  EXPECT_EQ(create(bad).error().code, "request.profile");
  bad = spec("../up");
  EXPECT_EQ(create(bad).error().code, "request.name");
  bad = spec();
  bad.mounts = {{"/etc", "/x", false}};
  EXPECT_EQ(create(bad).error().code, "access.operator_only");
  bad.mounts = {{"/etc/../root", "/x", false}};
  EXPECT_EQ(create(bad, kOperator).error().code, "request.mounts");
  EXPECT_TRUE(world_.storage.empty());
}

TEST_F(ControlTest, others_are_refused_with_an_audit_event_and_see_nothing) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  EXPECT_TRUE(control_->list_workspaces(kStranger)->empty());
  EXPECT_EQ(control_->show_workspace(kStranger, "dev").error().code, "access.denied");
  EXPECT_EQ(exec(call(), kStranger).error().code, "access.denied");
  EXPECT_EQ(
      wait<WorkspaceView>([&](auto r) { control_->decommission_workspace(kStranger, "dev", std::move(r)); })
          .error()
          .code,
      "access.denied");
  EXPECT_EQ(wait<AuditPage>([&](auto r) { control_->audit_entries(kStranger, 0, 1, 0, std::move(r)); })
                .error()
                .code,
            "access.operator_only");
  run_quiet();
  EXPECT_EQ(events("was denied exec"), 1u);
  EXPECT_EQ(control_->show_workspace(kOwner, "dev")->state, WorkspaceState::running);
  EXPECT_TRUE(control_->show_workspace(kOperator, "dev"));
  EXPECT_EQ(control_->show_workspace(kStranger, "no-such").error().code, "workspace.not_found");
}

TEST_F(ControlTest, the_kernels_answer_about_the_peer_becomes_a_sponsor) {
  boot_ready();
  EXPECT_EQ(control_->caller(0)->sponsor, "uid:1000") << "rootless: 0 is the user itself";
  EXPECT_EQ(control_->caller(0)->role, Role::operator_);
  EXPECT_EQ(control_->caller(65534).error().code, "access.unknown_user");
}

TEST_F(ControlTest, stop_and_start_keep_the_storage_and_are_idempotent) {
  boot_ready();
  put_secret();
  auto created = create();
  ASSERT_TRUE(created);
  auto stop = [&] {
    return wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); });
  };
  auto start = [&] {
    return wait<WorkspaceView>([&](auto r) { control_->start_workspace(kOwner, "dev", std::move(r)); });
  };
  EXPECT_EQ(stop()->state, WorkspaceState::stopped);
  EXPECT_TRUE(world_.sandboxes.empty());
  EXPECT_TRUE(node_->egresses.empty());
  EXPECT_EQ(world_.storage.size(), 1u);
  EXPECT_EQ(stop()->state, WorkspaceState::stopped);
  EXPECT_EQ(exec(call()).error().code, "workspace.conflict");
  auto started = start();
  ASSERT_TRUE(started);
  EXPECT_EQ(started->state, WorkspaceState::running);
  EXPECT_NE(started->sandbox, created->workspace.sandbox);
  EXPECT_EQ(start()->sandbox, started->sandbox);
}

TEST_F(ControlTest, decommission_leaves_nothing) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  ASSERT_TRUE(wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "s", std::move(r)); }));
  ASSERT_TRUE(
      wait<WorkspaceView>([&](auto r) { control_->decommission_workspace(kOwner, "dev", std::move(r)); }));
  run_quiet();
  EXPECT_TRUE(world_.storage.empty());
  EXPECT_TRUE(world_.sandboxes.empty());
  EXPECT_TRUE(store_->workspaces()->empty());
  EXPECT_TRUE(store_->sessions()->empty());
  EXPECT_EQ(control_->show_workspace(kOwner, "dev").error().code, "workspace.not_found");
  EXPECT_TRUE(create()) << "the name is free again";
}

TEST_F(ControlTest, a_sandbox_that_cannot_be_built_fails_the_workspace_with_the_reason) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); }));
  node_->refuse_sandboxes = "sandbox.landlock";
  EXPECT_EQ(wait<WorkspaceView>([&](auto r) { control_->start_workspace(kOwner, "dev", std::move(r)); })
                .error()
                .code,
            "sandbox.landlock");
  EXPECT_EQ(control_->show_workspace(kOwner, "dev")->state, WorkspaceState::failed);
  EXPECT_EQ(create().error().code, "sandbox.landlock") << "the same creation again tries again";
  node_->refuse_sandboxes.clear();
  auto started = wait<WorkspaceView>([&](auto r) { control_->start_workspace(kOwner, "dev", std::move(r)); });
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(started->state, WorkspaceState::running);
}

TEST_F(ControlTest, a_creation_that_never_came_up_leaves_nothing) {
  boot_ready();
  put_secret();
  node_->refuse_sandboxes = "sandbox.landlock";
  EXPECT_EQ(create().error().code, "sandbox.landlock");
  run_quiet();
  EXPECT_TRUE(control_->list_workspaces(kOwner)->empty());
  EXPECT_TRUE(world_.storage.empty());
  EXPECT_TRUE(node_->egresses.empty());
  node_->refuse_sandboxes.clear();
  EXPECT_TRUE(create());
}

TEST_F(ControlTest, who_asks_too_early_waits_until_recovery_is_done) {
  boot();
  bool served = false;
  control_->when_ready([&](Result<> ready) { served = ready.has_value(); });
  EXPECT_FALSE(served);
  EXPECT_TRUE(run_until([&] { return served && node_->ready; }));
}

TEST_F(ControlTest, a_session_lives_beside_the_workspace_and_its_end_removes_its_layer) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  auto session =
      wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "one", std::move(r)); });
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ(session->state, "running");
  EXPECT_EQ(wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "one", std::move(r)); })
                .error()
                .code,
            "session.conflict");
  run_quiet();
  EXPECT_EQ(egress().channels.at(session->sandbox).session, session->id);
  auto diff = wait<DiffView>([&](auto r) { control_->diff_session(kOwner, "dev", "one", {}, std::move(r)); });
  EXPECT_EQ(diff->changes.at(0).path, "/workspace/a\\x0ab")
      << "names of the agent's choosing are made printable";
  ASSERT_TRUE(wait<void>([&](auto r) { control_->end_session(kOwner, "dev", "one", std::move(r)); }));
  EXPECT_EQ(world_.sandboxes.size(), 1u);
  EXPECT_EQ(world_.storage.size(), 1u);
  EXPECT_TRUE(control_->list_sessions(kOwner, "dev")->empty());
}

TEST_F(ControlTest, a_dead_egress_comes_back_with_its_configuration_and_every_channel) {
  boot_ready();
  put_secret();
  auto created = create();
  ASSERT_TRUE(created);
  auto handle = exec(call());
  ASSERT_TRUE(handle);
  const std::string id = created->workspace.id;
  node_->egresses.clear();
  node_->send(sandbox::EgressExited{id});
  ASSERT_TRUE(run_until([&] { return node_->egresses.contains(id) && egress().channels.size() == 2; }));
  EXPECT_TRUE(egress().channels.contains(created->workspace.sandbox));
  EXPECT_EQ(egress().configuration.secrets.size(), 1u);
}

TEST_F(ControlTest, a_new_perimeter_is_introduced_to_every_egress) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  node_->start_perimeter();
  EXPECT_TRUE(run_until([&] { return egress().perimeters == 2 && node_->clients == 2; }));
}

TEST_F(ControlTest, an_egress_that_refuses_its_policy_fails_the_start) {
  boot_ready();
  put_secret();
  auto pending = std::make_shared<std::optional<Error>>();
  control_->create_workspace(kOwner, spec(), [pending](Result<WorkspaceCreated> r) {
    if (!r) *pending = r.error();
  });
  ASSERT_TRUE(run_until([&] { return !node_->egresses.empty(); }));
  egress().refuse = "unknown field";
  ASSERT_TRUE(run_until([&] { return pending->has_value(); }));
  EXPECT_EQ((*pending)->code, "egress.configuration");
  EXPECT_TRUE(world_.sandboxes.empty());
}

TEST_F(ControlTest, the_end_of_the_node_link_is_told_so_that_sawd_ends) {
  boot_ready();
  node_.reset();
  EXPECT_TRUE(run_until([&] { return !lost_.empty(); }));
}

TEST_F(ControlTest, only_an_operator_shuts_down) {
  boot_ready();
  EXPECT_EQ(control_->shut_down(kOwner).error().code, "access.operator_only");
  ASSERT_TRUE(control_->shut_down(kOperator));
  EXPECT_TRUE(run_until([&] { return node_->shut_down; }));
}

// ---- audit
// ------------------------------------------------------------------------------------------------------------------------

TEST_F(ControlTest, when_audit_cannot_be_written_nothing_is_admitted_and_afterwards_it_is_again) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  disk_.full = true;
  EXPECT_TRUE(control_->register_agent(kOwner, "noted", "to be recorded")) << "its record finds no room";
  run_quiet();
  EXPECT_EQ(exec(call()).error().code, "audit.unavailable");
  EXPECT_TRUE(node_->execs.empty());
  EXPECT_FALSE(control_->status(kOwner).audit_ok);
  EXPECT_EQ(exec(call()).error().code, "audit.unavailable");
  EXPECT_EQ(create(spec("other")).error().code, "audit.unavailable");
  disk_.full = false;
  ASSERT_TRUE(run_until([&] { return control_->status(kOwner).audit_ok; }));
  EXPECT_TRUE(exec(call()));
}

std::string egress_event(std::string_view text) {
  return fmt::format(R"({{"unmapped":{{"saw":{{"layer":"runtime"}}}},"text":"{}"}})", text);
}

TEST_F(ControlTest, an_egress_event_is_acknowledged_once_it_is_durable) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  egress().record(1, egress_event("one"));
  ASSERT_TRUE(run_until([&] { return egress().acked == 1; }));
  EXPECT_EQ(events(egress_event("one")), 1u);
  disk_.full = true;
  egress().record(2, egress_event("two"));
  run_quiet();
  EXPECT_EQ(egress().acked, 1u);
  disk_.full = false;
  ASSERT_TRUE(run_until([&] { return egress().acked == 2; }));
  EXPECT_EQ(events(egress_event("two")), 1u);
}

TEST_F(ControlTest, gaps_and_forgeries_from_an_egress_become_findings) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  egress().record(1, egress_event("g1"));
  egress().record(3, egress_event("g3"));
  egress().record(4, "{\"a\":1}\n{\"forged\":1}");
  egress().record(5, R"({"unmapped":{"saw":{"layer":"governance"}}})");
  egress().record(6, egress_event("g6"));
  ASSERT_TRUE(run_until([&] { return egress().acked == 6; }));
  EXPECT_EQ(events("audit-gap"), 1u);
  EXPECT_EQ(events("audit-malformed"), 2u);
  for (const std::string& line : disk_.lines) EXPECT_EQ(line.find('\n'), line.npos);
  EXPECT_EQ(events(egress_event("g6")), 1u);
}

TEST_F(ControlTest, the_status_shows_each_user_only_their_own_workspaces) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  auto shown = [&](const Caller& caller) {
    const StatusView status = control_->status(caller);
    return std::pair(status.workspaces, std::ranges::count(status.programs, "dev", &ProgramView::workspace));
  };
  EXPECT_EQ(shown(kStranger), std::pair(size_t{0}, std::ptrdiff_t{0}));
  EXPECT_EQ(shown(kOwner), std::pair(size_t{1}, std::ptrdiff_t{1}));
  EXPECT_EQ(shown(kOperator), std::pair(size_t{1}, std::ptrdiff_t{1}));
}

TEST_F(ControlTest, a_name_that_several_owners_use_is_no_name_for_an_operator) {
  boot_ready();
  put_secret(), put_secret(kStranger);
  auto mine = create();
  ASSERT_TRUE(mine);
  EXPECT_EQ(control_->show_workspace(kOperator, "dev")->owner, kOwner.sponsor);
  ASSERT_TRUE(create(spec(), kStranger));
  EXPECT_EQ(control_->show_workspace(kOperator, "dev").error().code, "workspace.conflict");
  EXPECT_EQ(control_->show_workspace(kOperator, mine->workspace.id)->owner, kOwner.sponsor);
  EXPECT_EQ(control_->show_workspace(kStranger, "dev")->owner, kStranger.sponsor);
}

TEST_F(ControlTest, nobody_takes_all_the_room_there_is) {
  boot_ready();
  for (size_t i = 0; i < Secrets::kMaxPerOwner; ++i)
    ASSERT_TRUE(control_->put_secret(kOwner, fmt::format("s{}", i), "value"));
  EXPECT_EQ(control_->put_secret(kOwner, "one-more", "value").error().code, "secret.conflict");
  EXPECT_TRUE(control_->put_secret(kOwner, "s0", "rotated"));
  EXPECT_TRUE(control_->put_secret(kStranger, "s0", "value"));
}

TEST_F(ControlTest, without_an_audit_log_authority_is_taken_away_but_not_given) {
  boot_ready();
  ASSERT_TRUE(control_->register_agent(kOwner, "a", "purpose"));
  disk_.full = true;
  ASSERT_TRUE(control_->change_agent(kOwner, "a", AgentVerb::suspend));
  run_quiet();
  EXPECT_EQ(control_->change_agent(kOwner, "a", AgentVerb::resume).error().code, "audit.unavailable");
  EXPECT_EQ(control_->register_agent(kOwner, "b", "purpose").error().code, "audit.unavailable");
  EXPECT_EQ(control_->put_secret(kOwner, "s", "value").error().code, "audit.unavailable");
  disk_.full = false;
  ASSERT_TRUE(run_until([&] { return control_->status(kOwner).audit_ok; }));
  EXPECT_TRUE(control_->change_agent(kOwner, "a", AgentVerb::resume));
  EXPECT_EQ(events("agent.suspend"), 1u);
}

// RLIMIT_FSIZE stands for a disk that takes no more.
TEST_F(ControlTest, a_full_disk_does_not_keep_an_agent_acting_or_a_workspace_running) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  ASSERT_TRUE(exec(call()));
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  auto suspended = control_->change_agent(kOwner, "default", AgentVerb::suspend);
  auto stopped = wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(suspended);
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(stopped->state, WorkspaceState::stopped);
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->start_workspace(kOwner, "dev", std::move(r)); }));
  EXPECT_EQ(exec(call()).error().code, "identity.agent_suspended");
  ASSERT_TRUE(control_->change_agent(kOwner, "default", AgentVerb::suspend)) << "now it is stored";
  ASSERT_TRUE(control_->change_agent(kOwner, "default", AgentVerb::resume));
  EXPECT_TRUE(exec(call()));
}

}  // namespace
}  // namespace saw::control
