#include "sandbox/node.h"

#include <functional>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "sandbox/node_test_support.h"

namespace saw::sandbox {
namespace {

class NodeTest : public testing_support::NodeHarness {};

// ---- the link to sawd
// ---------------------------------------------------------------------------------------------------------------

TEST_F(NodeTest, a_new_sawd_is_greeted_first_and_given_its_perimeter) {
  start_node();
  ASSERT_NE(await<PerimeterStarted>(), nullptr);
  ASSERT_TRUE(std::holds_alternative<NodeHello>(told_[0].message));
  EXPECT_EQ(std::get<NodeHello>(told_[0].message).node, "node-test");
  EXPECT_EQ(find_told<PerimeterStarted>()->fds.size(), 2u);
}

TEST_F(NodeTest, whoever_waits_for_the_start_is_told_once_sawd_is_ready) {
  start_node();
  send(ControlReady{});
  send(ControlReady{});
  ASSERT_TRUE(run_until([&] { return ready_ > 0; }));
  EXPECT_EQ(ready_, 1);
}

TEST_F(NodeTest, a_sawd_that_never_comes_up_ends_the_start) {
  refuse_to_start_ = "sawd";
  start_node();
  ASSERT_TRUE(run_until([&] { return stopped_; }));
  EXPECT_NE(start_failure_.find("no such file"), std::string::npos);
}

TEST_F(NodeTest, a_sawd_that_dies_later_is_started_again_for_ever) {
  start_node();
  send(ControlReady{});
  ASSERT_TRUE(run_until([&] { return ready_ == 1; }));
  for (size_t life = 1; life <= 3; ++life) {
    ASSERT_EQ(count("sawd"), life);
    program("sawd").process.kill(SIGKILL);
    ASSERT_TRUE(run_until([&] { return count("sawd") == life + 1; }));
  }
  EXPECT_FALSE(stopped_);
}

TEST_F(NodeTest, a_malformed_request_costs_sawd_its_life) {
  start_node();
  control_->send("\xff\xff nonsense");
  ASSERT_TRUE(run_until([&] { return count("sawd") == 2; }));
}

TEST_F(NodeTest, a_dead_sawd_takes_perimeter_and_egress_with_it) {
  start_node();
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartEgress{.request = 2, .workspace = "w"});
  ASSERT_NE(await<EgressStarted>(2), nullptr);
  const os::Child& egress = program("saw-egress").process;
  const os::Child& perimeter = program("saw-perimeter").process;
  program("sawd").process.kill(SIGKILL);
  EXPECT_TRUE(run_until([&] { return egress.has_ended() && perimeter.has_ended(); }));
  ASSERT_TRUE(run_until([&] { return count("sawd") == 2 && count("saw-perimeter") == 2; }));
  EXPECT_EQ(count("saw-egress"), 1u) << "the next sawd asks for it";
}

TEST_F(NodeTest, an_answer_to_a_dead_sawd_is_not_given_to_the_next) {
  start_node();
  runtime_->shy = true;
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartSandbox{.request = 77, .plan = plan("sb-a")});
  ASSERT_TRUE(run_until([&] { return runtime_->inits.contains("sb-a") && runtime_->inits["sb-a"]->link; }));
  program("sawd").process.kill(SIGKILL);
  ASSERT_TRUE(run_until([&] { return count("sawd") == 2; }));
  told_.clear();
  runtime_->inits["sb-a"]->say(InitHello{});
  send(ListSandboxes{.request = 1});
  ASSERT_NE(await<SandboxList>(1), nullptr);
  EXPECT_EQ(find_told<SandboxStarted>(77), nullptr);
  EXPECT_EQ(await<SandboxList>(1)->sandboxes.size(), 1u) << "but it runs, and the next sawd can see it";
}

// ---- programs
// -----------------------------------------------------------------------------------------------------------------------

TEST_F(NodeTest, an_egress_gets_an_empty_network_and_its_two_links) {
  start_node();
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartEgress{.request = 2, .workspace = "w"});
  ASSERT_NE(await<EgressStarted>(2), nullptr);
  EXPECT_EQ(find_told<EgressStarted>(2)->fds.size(), 2u);
  EXPECT_EQ(program("saw-egress").network, os::NetworkView::empty);
  EXPECT_EQ(program("saw-egress").descriptors.size(), 2u);
  EXPECT_EQ(program("saw-egress").identity, kFirstEgressUid);
  EXPECT_EQ(program("saw-egress").arguments, (std::vector<std::string>{"saw-egress", "--workspace", "w"}));
}

TEST_F(NodeTest, an_egress_without_a_workspace_is_refused) {
  start_node();
  send(StartEgress{.request = 2, .workspace = "w"});
  ASSERT_NE(await<Failed>(2), nullptr);
  EXPECT_EQ(await<Failed>(2)->code, "storage.unknown");
}

TEST_F(NodeTest, sawd_is_told_of_an_egress_that_died_and_not_of_one_that_was_stopped_or_replaced) {
  start_node();
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartEgress{.request = 2, .workspace = "w"});
  send(StartEgress{.request = 3, .workspace = "w"});
  ASSERT_NE(await<EgressStarted>(3), nullptr);
  send(StopEgress{.request = 4, .workspace = "w"});
  ASSERT_NE(await<Done>(4), nullptr);
  EXPECT_EQ(find_told<EgressExited>(), nullptr);
  send(StartEgress{.request = 5, .workspace = "w"});
  ASSERT_NE(await<EgressStarted>(5), nullptr);
  program("saw-egress").process.kill(SIGKILL);
  ASSERT_NE(await<EgressExited>(), nullptr);
}

TEST_F(NodeTest, a_perimeter_that_dies_comes_back_with_new_links) {
  start_node();
  ASSERT_NE(await<PerimeterStarted>(), nullptr);
  told_.clear();
  program("saw-perimeter").process.kill(SIGKILL);
  ASSERT_NE(await<PerimeterStarted>(), nullptr);
  EXPECT_EQ(count("sawd"), 1u);
}

// ---- sandboxes
// ----------------------------------------------------------------------------------------------------------------------

TEST_F(NodeTest, a_sandbox_is_answered_with_its_sockets_once_its_init_said_hello) {
  start_node();
  runtime_->shy = true;
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartSandbox{.request = 2, .plan = plan("sb-a")});
  ASSERT_TRUE(run_until([&] { return runtime_->inits.contains("sb-a") && runtime_->inits["sb-a"]->link; }));
  send(ListSandboxes{.request = 3});
  ASSERT_NE(await<SandboxList>(3), nullptr);
  EXPECT_EQ(find_told<SandboxStarted>(2), nullptr);
  runtime_->inits["sb-a"]->say(InitHello{});
  ASSERT_NE(await<SandboxStarted>(2), nullptr);
  EXPECT_EQ(find_told<SandboxStarted>(2)->fds.size(), 2u);
}

TEST_F(NodeTest, a_failed_launch_tells_its_step_and_leaves_nothing) {
  start_node();
  runtime_->fail_next = "Permission denied";
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartSandbox{.request = 2, .plan = plan("sb-a")});
  ASSERT_NE(await<Failed>(2), nullptr);
  EXPECT_EQ(await<Failed>(2)->code, "sandbox.mount");
  EXPECT_FALSE(has_traces("sb-a"));
  start_sandbox("sb-a");
}

TEST_F(NodeTest, one_workspace_has_one_life) {
  start_node();
  start_sandbox("sb-a");
  send(StartSandbox{.request = 90, .plan = plan("sb-b")});
  ASSERT_NE(await<Failed>(90), nullptr);
  EXPECT_EQ(await<Failed>(90)->code, "node.duplicate");
  start_sandbox("sb-c", Depth::session);
  start_sandbox("sb-d", Depth::call);
  start_sandbox("sb-e", Depth::call);
}

TEST_F(NodeTest, a_plan_that_shows_saws_own_state_is_refused) {
  start_node();
  SandboxPlan bad = plan("sb-a");
  bad.mounts = {{directory_ + "/node", "/data", Access::read}};
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartSandbox{.request = 2, .plan = bad});
  ASSERT_NE(await<Failed>(2), nullptr);
  EXPECT_EQ(await<Failed>(2)->code, "node.bad_plan");
}

TEST_F(NodeTest, fresh_sockets_are_given_for_a_new_egress) {
  start_node();
  start_sandbox("sb-a");
  send(GetSockets{.request = 50, .sandbox = "sb-a"});
  ASSERT_NE(await<SandboxStarted>(50), nullptr);
  EXPECT_EQ(find_told<SandboxStarted>(50)->fds.size(), 2u);
  send(GetSockets{.request = 51, .sandbox = "sb-nobody"});
  EXPECT_NE(await<Failed>(51), nullptr);
}

TEST_F(NodeTest, stopping_answers_when_nothing_is_left) {
  start_node();
  start_sandbox("sb-a");
  ASSERT_TRUE(has_traces("sb-a"));
  runtime_->busy_cgroups = 1;
  send(StopSandbox{.request = 60, .sandbox = "sb-a"});
  ASSERT_NE(await<Done>(60), nullptr);
  EXPECT_TRUE(runtime_->inits["sb-a"]->process.has_ended());
  EXPECT_FALSE(has_traces("sb-a"));
  EXPECT_EQ(find_told<SandboxExited>(), nullptr);
  send(StopSandbox{.request = 61, .sandbox = "sb-a"});
  EXPECT_NE(await<Done>(61), nullptr) << "and stopping what is not there is no error";
}

TEST_F(NodeTest, a_cgroup_that_stays_busy_is_a_failure_and_not_a_success) {
  start_node();
  start_sandbox("sb-a");
  runtime_->busy_cgroups = 1000;
  send(StopSandbox{.request = 60, .sandbox = "sb-a"});
  ASSERT_NE(await<Failed>(60), nullptr);
  EXPECT_EQ(await<Failed>(60)->code, "os.cgroup");
}

TEST_F(NodeTest, a_sandbox_that_ends_by_itself_is_reported) {
  start_node();
  start_sandbox("sb-a").process.kill(SIGKILL);
  auto* exited = await<SandboxExited>();
  ASSERT_NE(exited, nullptr);
  EXPECT_NE(exited->reason.find("signal 9"), std::string::npos) << exited->reason;
  EXPECT_FALSE(has_traces("sb-a"));
}

// ---- commands
// -----------------------------------------------------------------------------------------------------------------------

TEST_F(NodeTest, a_command_gets_pipes_and_its_end_is_told) {
  start_node();
  auto& init = start_sandbox("sb-a");
  const uint64_t exec = start_command(init, "sb-a");
  ASSERT_EQ(find_told<ExecStarted>()->fds.size(), 3u);
  ASSERT_EQ(init.stdio.back().size(), 3u);
  ASSERT_EQ(::write(init.stdio.back()[1].get(), "hi", 2), 2);
  char got[3] = {};
  EXPECT_EQ(::read(find_told<ExecStarted>()->fds[1].get(), got, 2), 2);
  EXPECT_STREQ(got, "hi");
  init.say(CommandEnded{.exec = exec, .wait_status = 3 << 8});
  auto* exited = await<ExecExited>();
  ASSERT_NE(exited, nullptr);
  EXPECT_EQ(exited->end, ExecEnd::exited);
  EXPECT_EQ(exited->status, 3);
}

TEST_F(NodeTest, a_signal_reaches_the_command_and_is_told_as_its_end) {
  start_node();
  auto& init = start_sandbox("sb-a");
  const uint64_t exec = start_command(init, "sb-a");
  send(SignalExec{.sandbox = "sb-a", .exec = exec, .signal = SIGTERM});
  ASSERT_TRUE(run_until([&] { return !init.signals.empty(); }));
  EXPECT_EQ(init.signals[0].signal, SIGTERM);
  init.say(CommandEnded{.exec = exec, .wait_status = SIGTERM});
  auto* exited = await<ExecExited>();
  ASSERT_NE(exited, nullptr);
  EXPECT_EQ(exited->end, ExecEnd::signalled);
  EXPECT_EQ(exited->status, SIGTERM);
}

TEST_F(NodeTest, a_command_killed_for_want_of_memory_is_told_apart) {
  start_node();
  auto& init = start_sandbox("sb-a");
  const uint64_t first = start_command(init, "sb-a");
  runtime_->ooms = 1;
  init.say(CommandEnded{.exec = first, .wait_status = SIGKILL});
  ASSERT_NE(await<ExecExited>(), nullptr);
  EXPECT_EQ(await<ExecExited>()->end, ExecEnd::out_of_memory);
  told_.clear();
  const uint64_t second = start_command(init, "sb-a");
  init.say(CommandEnded{.exec = second, .wait_status = SIGKILL});
  ASSERT_NE(await<ExecExited>(), nullptr);
  EXPECT_EQ(await<ExecExited>()->end, ExecEnd::signalled);
}

TEST_F(NodeTest, limits_that_were_met_are_told_of_a_command_that_failed_and_only_what_came_while_it_ran) {
  start_node();
  auto& init = start_sandbox("sb-a");
  runtime_->refusals = 5;  // of an earlier command
  auto end_of = [&](int wait_status, uint64_t refused) {
    told_.clear();
    const uint64_t exec = start_command(init, "sb-a");
    runtime_->refusals += refused;
    init.say(CommandEnded{.exec = exec, .wait_status = wait_status});
    return *await<ExecExited>();
  };
  constexpr int kExited2 = 2 << 8;
  EXPECT_EQ(end_of(kExited2, 12).met.forks_refused, 12u);
  EXPECT_EQ(end_of(kExited2, 0).met.forks_refused, 0u) << "not what was told before";
  EXPECT_EQ(end_of(0, 3).met.forks_refused, 0u) << "of one that succeeded nothing is said";
  const ExecExited after = end_of(kExited2, 0);
  EXPECT_EQ(after.end, ExecEnd::exited) << "its own status stands";
  EXPECT_EQ(after.status, 2);
}

TEST_F(NodeTest, a_file_that_grew_too_large_is_a_limit_only_where_there_is_one) {
  start_node();
  auto& init = start_sandbox("sb-a");  // whose plan limits no file
  const uint64_t exec = start_command(init, "sb-a");
  init.say(CommandEnded{.exec = exec, .wait_status = SIGXFSZ});
  EXPECT_EQ(await<ExecExited>()->end, ExecEnd::signalled);
  told_.clear();
  SandboxPlan limited = plan("sb-b", Depth::call);
  limited.limits.file_size_bytes = 1000;
  auto& other = start_sandbox(limited);
  const uint64_t second = start_command(other, "sb-b");
  other.say(CommandEnded{.exec = second, .wait_status = SIGXFSZ});
  EXPECT_EQ(await<ExecExited>()->end, ExecEnd::file_too_large);
}

TEST_F(NodeTest, a_command_that_cannot_be_started_is_started_and_ended_for_sawd) {
  start_node();
  auto& init = start_sandbox("sb-a");
  send(StartExec{.request = 70, .sandbox = "sb-a", .spec = {.argv = {"nothing"}, .directory = "/"}});
  ASSERT_TRUE(run_until([&] { return !init.starts.empty(); }));
  init.say(CommandEnded{.exec = init.starts[0].exec, .started = false, .wait_status = ENOENT});
  ASSERT_NE(await<ExecStarted>(70), nullptr);
  auto* exited = await<ExecExited>();
  ASSERT_NE(exited, nullptr);
  EXPECT_EQ(exited->end, ExecEnd::not_started);
  EXPECT_EQ(exited->status, ENOENT);
}

TEST_F(NodeTest, a_terminal_is_passed_on_and_anything_else_in_its_place_is_not) {
  start_node();
  auto& init = start_sandbox("sb-a");
  send(StartExec{
      .request = 70, .sandbox = "sb-a", .spec = {.argv = {"sh"}, .directory = "/", .terminal = true}});
  ASSERT_TRUE(run_until([&] { return !init.starts.empty(); }));
  EXPECT_TRUE(init.stdio[0].empty());
  std::vector<Fd> master;
  master.emplace_back(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  init.say(CommandStarted{.exec = init.starts[0].exec, .pid = 2}, std::move(master));
  ASSERT_NE(await<ExecStarted>(70), nullptr);
  EXPECT_EQ(find_told<ExecStarted>(70)->fds.size(), 1u);

  send(StartExec{
      .request = 71, .sandbox = "sb-a", .spec = {.argv = {"sh"}, .directory = "/", .terminal = true}});
  ASSERT_TRUE(run_until([&] { return init.starts.size() == 2; }));
  std::vector<Fd> file;
  file.push_back(std::move(*Fd::open("/dev/zero", O_RDWR)));
  init.say(CommandStarted{.exec = init.starts[1].exec, .pid = 3}, std::move(file));
  ASSERT_NE(await<Failed>(71), nullptr);
  EXPECT_NE(await<SandboxExited>(), nullptr);
}

TEST_F(NodeTest, commands_end_with_their_sandbox) {
  start_node();
  auto& init = start_sandbox("sb-a");
  const uint64_t exec = start_command(init, "sb-a");
  send(StartExec{.request = 70, .sandbox = "sb-a", .spec = {.argv = {"true"}, .directory = "/"}});
  ASSERT_TRUE(run_until([&] { return init.starts.size() == 2; }));
  init.process.kill(SIGKILL);
  auto* exited = await<ExecExited>();
  ASSERT_NE(exited, nullptr);
  EXPECT_EQ(exited->exec, exec);
  EXPECT_EQ(exited->end, ExecEnd::sandbox_gone);
  EXPECT_NE(await<Failed>(70), nullptr);
}

TEST_F(NodeTest, a_hostile_init_is_killed_for_whatever_it_makes_up) {
  start_node();
  using Lie = std::function<void(testing_support::FakeInit&, uint64_t running)>;
  const std::vector<std::pair<const char*, Lie>> lies = {
      {"a start that nobody asked for",
       [](auto& init, uint64_t) { init.say(CommandStarted{.exec = 123456, .pid = 2}); }},
      {"a second start",
       [](auto& init, uint64_t running) { init.say(CommandStarted{.exec = running, .pid = 2}); }},
      {"an end of nothing", [](auto& init, uint64_t) { init.say(CommandEnded{.exec = 123456}); }},
      {"a second hello", [](auto& init, uint64_t) { init.say(InitHello{}); }},
      {"bytes", [](auto& init, uint64_t) { init.say_bytes("\xff\xff\xff"); }},
      {"an unasked descriptor",
       [](auto& init, uint64_t running) {
         std::vector<Fd> fds;
         fds.push_back(std::move(*Fd::open("/dev/null", 0)));
         init.say(CommandEnded{.exec = running}, std::move(fds));
       }},
      {"silence", [](auto& init, uint64_t) { init.link.reset(); }},
  };
  int number = 0;
  for (const auto& [name, lie] : lies) {
    const std::string id = fmt::format("sb-{}", ++number);
    auto& init = start_sandbox(id, Depth::call);
    lie(init, start_command(init, id));
    ASSERT_TRUE(run_until([&] { return init.process.has_ended() && find_told<SandboxExited>() != nullptr; }))
        << name;
    EXPECT_FALSE(has_traces(id)) << name;
    told_.clear();
  }
}

TEST_F(NodeTest, a_fresh_init_that_claims_running_commands_is_killed) {
  start_node();
  runtime_->shy = true;
  send(CreateStorage{.request = 1, .workspace = "w"});
  send(StartSandbox{.request = 2, .plan = plan("sb-a")});
  ASSERT_TRUE(run_until([&] { return runtime_->inits.contains("sb-a") && runtime_->inits["sb-a"]->link; }));
  runtime_->inits["sb-a"]->say(InitHello{{5}});
  ASSERT_NE(await<Failed>(2), nullptr);
}

// ---- after a restart
// ----------------------------------------------------------------------------------------------------------------

TEST_F(NodeTest, a_dead_sawd_ends_calls_and_leaves_workspaces_running) {
  start_node();
  auto& workspace = start_sandbox("sb-a");
  auto& call = start_sandbox("sb-b", Depth::call);
  program("sawd").process.kill(SIGKILL);
  ASSERT_TRUE(
      run_until([&] { return call.process.has_ended() && !has_traces("sb-b") && count("sawd") == 2; }));
  EXPECT_FALSE(workspace.process.has_ended());
  send(ListSandboxes{.request = 1});
  ASSERT_NE(await<SandboxList>(1), nullptr);
}

TEST_F(NodeTest, the_next_saw_node_finds_living_workspaces_and_clears_the_rest) {
  start_node();
  auto& workspace = start_sandbox("sb-a");
  start_sandbox("sb-s", Depth::session);
  auto& call = start_sandbox("sb-c", Depth::call);
  const uint64_t exec = start_command(workspace, "sb-a");
  workspace.running = {exec};
  control_.reset();
  node_.reset();  // as kill -9 does it: nothing is told to anyone
  runtime_->inits["sb-s"]->process.kill(SIGKILL);
  ASSERT_TRUE(runtime_->inits["sb-s"]->process.wait_ended(5'000));
  runtime_->cgroups.push_back("sb-litter");
  auto litter = os::listen_unix(directory_ + "/run/sb-litter.sock", os::SocketKind::seqpacket, 0600);
  auto other = os::listen_unix(directory_ + "/run/other.sock", os::SocketKind::stream, 0600);
  told_.clear();

  start_node();
  EXPECT_FALSE(workspace.process.has_ended());
  EXPECT_TRUE(call.process.has_ended());
  EXPECT_FALSE(has_traces("sb-c") || has_traces("sb-s") || has_traces("sb-litter"));
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/run/other.sock")) << "what is not ours stays";
  EXPECT_EQ(runtime_->reopened, 1);
  send(ListSandboxes{.request = 1});
  auto* list = await<SandboxList>(1);
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->sandboxes.size(), 1u);
  EXPECT_EQ(list->sandboxes[0].sandbox, "sb-a");
  ASSERT_TRUE(run_until([&] { return workspace.link != nullptr; }));
  workspace.say(CommandEnded{.exec = exec, .wait_status = 0});
  ASSERT_NE(await<ExecExited>(), nullptr);
  EXPECT_NE(start_command(workspace, "sb-a"), exec);
}

TEST_F(NodeTest, a_stranger_with_a_recycled_pid_is_left_alone) {
  os::Child stranger = testing_support::start_sleeper();
  auto state = StateDirectory::open(directory_ + "/node/state");
  ASSERT_TRUE(state->write({.sandbox = "sb-old",
                            .workspace = "w",
                            .boot = state->boot(),
                            .control_socket = directory_ + "/run/sb-old.sock",
                            .cgroup = "sb-old",
                            .init_pid = stranger.pid(),
                            .init_start_time = *os::start_time_of(stranger.pid()) + 1}));
  start_node();
  EXPECT_FALSE(stranger.has_ended());
  EXPECT_FALSE(has_traces("sb-old"));
  reap(stranger);
}

TEST_F(NodeTest, the_same_record_with_the_right_start_time_is_its_call_and_ends) {
  os::Child call = testing_support::start_sleeper();
  auto state = StateDirectory::open(directory_ + "/node/state");
  ASSERT_TRUE(state->write({.sandbox = "sb-old",
                            .workspace = "w",
                            .boot = state->boot(),
                            .control_socket = directory_ + "/run/sb-old.sock",
                            .cgroup = "sb-old",
                            .init_pid = call.pid(),
                            .init_start_time = *os::start_time_of(call.pid())}));
  start_node();
  EXPECT_TRUE(call.has_ended());
  EXPECT_FALSE(has_traces("sb-old"));
  reap(call);
}

TEST_F(NodeTest, a_torn_record_does_not_stop_the_start) {
  std::filesystem::create_directories(directory_ + "/node/state");
  ASSERT_TRUE(replace_file(directory_ + "/node/state/sb-torn", "\x01\x02", 0600, Durability::none));
  start_node();
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/node/state/sb-torn"));
}

// ---- the end
// ------------------------------------------------------------------------------------------------------------------------

TEST_F(NodeTest, shutdown_ends_everything_in_order_and_leaves_nothing) {
  start_node();
  auto& workspace = start_sandbox("sb-a");
  send(StartEgress{.request = 90, .workspace = "w"});
  ASSERT_NE(await<EgressStarted>(90), nullptr);
  send(Shutdown{});
  ASSERT_TRUE(run_until([&] { return control_closed_; }));
  EXPECT_TRUE(workspace.process.has_ended());
  EXPECT_TRUE(program("saw-egress").process.has_ended());
  EXPECT_TRUE(program("saw-perimeter").process.has_ended());
  EXPECT_FALSE(program("sawd").process.has_ended()) << "it ends by itself when its link closes";
  EXPECT_FALSE(has_traces("sb-a"));
  program("sawd").process.kill(SIGTERM);
  EXPECT_TRUE(run_until([&] { return stopped_; }));
}

TEST_F(NodeTest, a_sawd_that_does_not_end_is_made_to) {
  start_node();
  node_->shutdown();
  EXPECT_TRUE(run_until([&] { return stopped_; }));
  EXPECT_TRUE(program("sawd").process.has_ended());
}

}  // namespace
}  // namespace saw::sandbox
