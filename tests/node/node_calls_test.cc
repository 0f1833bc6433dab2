// Calls through a real saw-node: parked, cold and by runtimes, as root and as an ordinary user.
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node_under_test.h"
#include "sandbox/plan.h"

namespace saw::sandbox {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing_support::As;
using testing_support::NodeUnderTest;

constexpr size_t kMaxOutput = 1u << 20;

// proc_pid_stat(5): what field 22 counts in.
uint64_t ticks_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto hertz = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return static_cast<uint64_t>(now.tv_sec) * hertz +
         static_cast<uint64_t>(now.tv_nsec) * hertz / 1'000'000'000;
}

struct Ran {
  Warmth warmth = Warmth::cold;
  std::string output, errors;
  ExecExited end;
};

class NodeCallsTest : public testing::TestWithParam<As> {
 protected:
  void SetUp() override {
    if (GetParam() == As::root && ::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (GetParam() == As::user && !testing_support::user_namespaces_work())
      GTEST_SKIP() << "an ordinary user cannot make user namespaces here, or cannot reach the programs";
    node_ = std::make_unique<NodeUnderTest>(GetParam());
    ASSERT_TRUE(node_->start());
    node_->send(CreateStorage{.request = ++request_, .workspace = "w"});
    ASSERT_NE(node_->await<Done>(request_), nullptr);
  }
  void TearDown() override {
    if (!node_) return;
    node_->send(Shutdown{});
    EXPECT_TRUE(node_->wait_node_ended());
    EXPECT_THAT(node_->cgroups(), IsEmpty());
  }

  SandboxPlan plan() const {
    return {.depth = Depth::call,
            .workspace = "w",
            .image_root = "/",
            .read_paths = {"/usr", "/bin", "/lib", "/lib64", "/etc"},
            .write_paths = {"/workspace", "/home/agent"},
            .limits = {.pids = 64},
            .hostname = "dev",
            .strictness = Strictness::best_effort};
  }
  std::string prepare(uint32_t parked, std::vector<WarmRuntime> runtimes = {}) {
    node_->send(PrepareCalls{.request = ++request_,
                             .plan = plan(),
                             .parked = parked,
                             .environment = base_environment(),
                             .directory = "/workspace",
                             .runtimes = std::move(runtimes)});
    auto* prepared = node_->await<CallsPrepared>(request_);
    return prepared ? prepared->plan : "";
  }
  uint64_t start(const std::string& digest, const std::string& sandbox, std::vector<std::string> argv,
                 std::string directory = "/workspace") {
    node_->send(RunCall{
        .request = ++request_,
        .plan = digest,
        .sandbox = sandbox,
        .spec = {
            .argv = std::move(argv), .environment = base_environment(), .directory = std::move(directory)}});
    return request_;
  }
  std::optional<ExecExited> await_end(const std::string& sandbox) {
    const auto fits = [&](const ExecExited& e) { return e.sandbox == sandbox; };
    if (!node_->run_until([&] { return node_->peek<ExecExited>(fits) != nullptr; })) return std::nullopt;
    return *node_->peek<ExecExited>(fits);
  }
  Ran run(const std::string& digest, std::vector<std::string> argv, std::string directory = "/workspace") {
    const std::string sandbox = "sb-test-" + std::to_string(++number_);
    const uint64_t request = start(digest, sandbox, std::move(argv), std::move(directory));
    auto* started = node_->await<CallStarted>(request);
    if (!started) {
      auto* failed = node_->await<Failed>(request);
      ADD_FAILURE() << (failed ? failed->message : "no answer");
      return {};
    }
    Ran out{.warmth = started->warmth};
    std::vector<Fd> fds = node_->take_fds<CallStarted>(request);
    EXPECT_EQ(fds.size(), 5u);
    fds[0].reset();
    out.output = read_all(fds[1], kMaxOutput).value_or("?");
    out.errors = read_all(fds[2], kMaxOutput).value_or("?");
    auto end = await_end(sandbox);
    EXPECT_TRUE(end);
    if (end) out.end = *end;
    stop(sandbox);
    return out;
  }
  void stop(const std::string& sandbox) {
    node_->send(StopSandbox{.request = ++request_, .sandbox = sandbox});
    EXPECT_NE(node_->await<Done>(request_), nullptr);
  }
  // Until the pool serves that kind.
  Ran run_warm(const std::string& digest, const std::vector<std::string>& argv, Warmth wanted) {
    for (int i = 0; i < 200; ++i) {
      Ran ran = run(digest, argv);
      if (ran.warmth == wanted) return ran;
      ::usleep(20'000);
    }
    ADD_FAILURE() << "the pool never had one";
    return {};
  }

  // saw-init before it is a sandbox: in saw-node's own pid namespace.
  std::vector<pid_t> moulds() const {
    std::vector<pid_t> out;
    std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", node_->pid()));
    for (pid_t child = 0; children >> child;) {
      const std::string process = fmt::format("/proc/{}", child);
      std::string name;
      std::getline(std::ifstream(process + "/comm") >> std::ws, name);
      std::error_code error;
      const auto ours = std::filesystem::read_symlink("/proc/self/ns/pid", error),
                 its = std::filesystem::read_symlink(process + "/ns/pid", error);
      if (name == "saw-init" && ours == its) out.push_back(child);
    }
    return out;
  }

  std::unique_ptr<NodeUnderTest> node_;
  uint64_t request_ = 0;
  int number_ = 0;
};

TEST_P(NodeCallsTest, output_status_and_signals_come_back_cold_and_parked) {
  for (uint32_t parked : {0u, 2u}) {
    const std::string plan = prepare(parked);
    for (int i = 0; i < 5; ++i) {
      Ran ran = run(plan, {"sh", "-c", "echo out; echo err >&2; pwd; exit 3"});
      EXPECT_EQ(ran.output, "out\n/workspace\n");
      EXPECT_EQ(ran.errors, "err\n");
      EXPECT_EQ(ran.end.end, ExecEnd::exited);
      EXPECT_EQ(ran.end.status, 3);
    }
    Ran killed = run(plan, {"sh", "-c", "kill -TERM $$"});
    EXPECT_EQ(killed.end.end, ExecEnd::signalled);
    EXPECT_EQ(killed.end.status, SIGTERM);
    if (parked) EXPECT_EQ(run_warm(plan, {"true"}, Warmth::parked).end.status, 0);
  }
}

TEST_P(NodeCallsTest, a_command_that_cannot_start_says_why) {
  for (uint32_t parked : {0u, 1u}) {
    const std::string plan = prepare(parked);
    Ran ran = run(plan, {"no-such-program"});
    EXPECT_EQ(ran.end.end, ExecEnd::not_started);
    EXPECT_EQ(ran.end.status, ENOENT);
    EXPECT_EQ(run(plan, {"true"}, "/no/such/directory").end.status, ENOENT);
    EXPECT_EQ(run(plan, {"true"}).end.end, ExecEnd::exited);
  }
}

// R15: whatever the first left behind, in files, processes or shared memory.
TEST_P(NodeCallsTest, a_call_finds_nothing_of_the_one_before) {
  const std::string plan = prepare(2);
  EXPECT_EQ(
      run(plan,
          {"sh", "-c",
           "touch /tmp/a /dev/shm/a /workspace/a /home/agent/a; sleep 1000 >/dev/null 2>&1 & echo done"})
          .output,
      "done\n");
  Ran second = run(
      plan, {"sh", "-c", "ls /tmp /dev/shm /workspace /home/agent; set -- /proc/[0-9]*; echo $# processes"});
  EXPECT_THAT(second.output, testing::Not(HasSubstr("a\n")));
  EXPECT_THAT(second.output, HasSubstr("1 processes\n"));  // sh: saw-init is not shown
}

TEST_P(NodeCallsTest, descendants_die_with_the_command) {
  const std::string plan = prepare(1);
  Ran ran =
      run(plan,
          {"bash", "-c",
           "for i in 1 2 3; do setsid sh -c 'sleep 4321.5 & sleep 4321.5' >/dev/null 2>&1 & done; echo up"});
  EXPECT_EQ(ran.output, "up\n");
  EXPECT_TRUE(node_->run_until([] {
    for (const auto& process : std::filesystem::directory_iterator("/proc")) {
      std::ifstream in(process.path() / "cmdline");
      std::string line;
      std::getline(in, line);
      if (line.find("4321.5") != line.npos) return false;
    }
    return true;
  }));
}

TEST_P(NodeCallsTest, a_signal_reaches_the_command_and_stop_ends_it) {
  const std::string plan = prepare(1);
  uint64_t request = start(
      plan, "sb-one", {"sh", "-c", "trap 'echo caught; exit 9' USR1; echo up; while :; do sleep 0.05; done"});
  ASSERT_NE(node_->await<CallStarted>(request), nullptr);
  std::vector<Fd> fds = node_->take_fds<CallStarted>(request);
  char up[3];
  ASSERT_EQ(::read(fds[1].get(), up, sizeof up), 3);
  node_->send(SignalExec{.sandbox = "sb-one", .exec = 1, .signal = SIGUSR1});
  EXPECT_EQ(await_end("sb-one")->status, 9);
  request = start(plan, "sb-two", {"sleep", "1000"});
  ASSERT_NE(node_->await<CallStarted>(request), nullptr);
  stop("sb-two");
  EXPECT_EQ(await_end("sb-two")->end, ExecEnd::sandbox_gone);
}

TEST_P(NodeCallsTest, a_warm_shell_runs_scripts_as_a_new_one_does) {
  const std::string plan = prepare(1, {{"bash", WarmRuntime::Kind::bash}});
  const std::vector<std::vector<std::string>> commands = {
      {"bash", "-c", "echo hi"},
      {"bash", "-c", "echo \"$0\" \"$#\" \"$*\"; exit 7", "name", "a b", "c"},
      {"bash", "-c", "echo \"$0\"; cd /tmp && pwd; x=1; set | grep -c '^MAPFILE\\|^REPLY'"},
      {"bash", "-c", "# a comment\necho $((6*7)); false"},
      {"bash", "-c", "ls /proc/self/fd | tr '\\n' ' '; echo $LINENO $SHLVL; env | sort | grep -v ^_="},
      {"bash", "-c", "kill -9 $$"},
      {"bash", "-c", "trap 'echo bye' EXIT; echo $-; unset HOME; echo ${HOME-none}"}};
  for (const auto& argv : commands) {
    const Ran cold = run(prepare(0), argv);
    prepare(1, {{"bash", WarmRuntime::Kind::bash}});
    const Ran warm = run_warm(plan, argv, Warmth::runtime);
    EXPECT_EQ(warm.output, cold.output) << argv[2];
    EXPECT_EQ(warm.errors, cold.errors) << argv[2];
    EXPECT_EQ(warm.end.end, cold.end.end) << argv[2];
    EXPECT_EQ(warm.end.status, cold.end.status) << argv[2];
  }
}

TEST_P(NodeCallsTest, a_warm_python_runs_scripts_as_a_new_one_does) {
  if (!std::filesystem::exists("/usr/bin/python3")) GTEST_SKIP() << "no python3 here";
  const std::vector<WarmRuntime> runtimes = {{"/usr/bin/python3", WarmRuntime::Kind::python}};
  for (const std::vector<std::string>& argv : std::vector<std::vector<std::string>>{
           {"/usr/bin/python3", "-c", "print(1)"},
           {"/usr/bin/python3", "-c", "import sys; print(sys.argv, sys.path[0] == ''); sys.exit(5)", "a",
            "b c"},
           {"/usr/bin/python3", "-c",
            "print(sorted(n for n in globals() if not n.startswith('__')), __name__)"}}) {
    const Ran cold = run(prepare(0), argv), warm = run_warm(prepare(1, runtimes), argv, Warmth::runtime);
    EXPECT_EQ(warm.output, cold.output) << argv[2];
    EXPECT_EQ(warm.errors, cold.errors) << argv[2];
    EXPECT_EQ(warm.end.status, cold.end.status) << argv[2];
  }
}

TEST_P(NodeCallsTest, another_environment_or_directory_is_not_served_by_a_runtime) {
  const std::string plan = prepare(1, {{"bash", WarmRuntime::Kind::bash}});
  run_warm(plan, {"bash", "-c", "true"}, Warmth::runtime);
  EXPECT_EQ(run(plan, {"bash", "-c", "pwd"}, "/tmp").output, "/tmp\n");
  EXPECT_NE(run(plan, {"bash", "-c", "pwd"}, "/tmp").warmth, Warmth::runtime);
  EXPECT_NE(run(plan, {"bash", "-x", "-c", "true"}).warmth, Warmth::runtime);
}

TEST_P(NodeCallsTest, what_was_parked_before_a_workspace_got_other_layers_serves_no_call_after_it) {
  const auto started =
      [&](const std::string& digest) {  // when the process began that waited to become the command
        return std::stoull(
            run_warm(digest, {"cut", "-d", " ", "-f", "22", "/proc/self/stat"}, Warmth::parked).output);
      };
  const std::string digest = prepare(2);
  EXPECT_GT(started(digest), 0u);
  const uint64_t rebuilt = ticks_since_boot() + 1;
  while (ticks_since_boot() < rebuilt) {  // what is parked now was made in an earlier tick
  }
  node_->send(RebuildStorage{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  for (int call = 0; call < 3; ++call) EXPECT_GE(started(digest), rebuilt);
}

TEST_P(NodeCallsTest, a_forgotten_plan_and_a_bad_one_are_refused) {
  const std::string plan = prepare(2);
  EXPECT_EQ(run(plan, {"true"}).end.status, 0);
  node_->send(ForgetCalls{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  const uint64_t request = start(plan, "sb-late", {"true"});
  auto* failed = node_->await<Failed>(request);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "node.unknown_plan");
  SandboxPlan bad = this->plan();
  bad.depth = Depth::workspace;
  node_->send(PrepareCalls{.request = ++request_, .plan = bad});
  EXPECT_NE(node_->await<Failed>(request_), nullptr);
  const std::vector<std::string> endless(64, std::string(100'000, 'x'));
  node_->send(PrepareCalls{
      .request = ++request_, .plan = this->plan(), .environment = endless, .directory = "/workspace"});
  ASSERT_NE(node_->await<Failed>(request_), nullptr);
  EXPECT_EQ(node_->await<Failed>(request_)->code, "node.bad_exec");
}

// ---- what happens while a sandbox is being built

TEST_P(NodeCallsTest, a_runtime_that_was_on_its_way_does_not_serve_the_plan_as_it_is_now) {
  const std::vector<WarmRuntime> runtimes = {{"bash", WarmRuntime::Kind::bash}};
  for (int i = 0; i < 20; ++i) {
    prepare(1, runtimes);
    std::vector<std::string> environment = base_environment();
    environment.push_back("ROUND=" + std::to_string(i));
    node_->send(PrepareCalls{.request = ++request_,
                             .plan = plan(),
                             .parked = 1,
                             .environment = environment,
                             .directory = "/workspace",
                             .runtimes = runtimes});
    auto* prepared = node_->await<CallsPrepared>(request_);
    ASSERT_NE(prepared, nullptr);
    const std::string digest = prepared->plan;
    for (int attempt = 0; attempt < 100; ++attempt) {
      const std::string sandbox = "sb-round-" + std::to_string(++number_);
      node_->send(RunCall{
          .request = ++request_,
          .plan = digest,
          .sandbox = sandbox,
          .spec = {
              .argv = {"bash", "-c", "echo $ROUND"}, .environment = environment, .directory = "/workspace"}});
      auto* started = node_->await<CallStarted>(request_);
      ASSERT_NE(started, nullptr);
      const Warmth warmth = started->warmth;
      std::vector<Fd> fds = node_->take_fds<CallStarted>(request_);
      EXPECT_EQ(read_all(fds[1], kMaxOutput).value_or("?"), std::to_string(i) + "\n");
      stop(sandbox);
      if (warmth == Warmth::runtime) break;
    }
  }
}

TEST_P(NodeCallsTest, two_calls_of_one_name_are_one_call) {
  const std::string plan = prepare(0);
  const uint64_t first = start(plan, "sb-twin", {"sleep", "1000"}),
                 second = start(plan, "sb-twin", {"sleep", "1000"});
  auto* failed = node_->await<Failed>(second);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "node.duplicate");
  EXPECT_NE(node_->await<CallStarted>(first), nullptr);
  stop("sb-twin");
}

TEST_P(NodeCallsTest, a_call_that_is_stopped_while_its_sandbox_is_built_never_runs) {
  const std::string plan = prepare(0);
  const uint64_t request = start(plan, "sb-early", {"sleep", "1000"});
  stop("sb-early");
  const auto of_it = [&](const auto& message) { return message.request == request; };
  EXPECT_EQ(node_->peek<CallStarted>(of_it), nullptr);
  auto* failed = node_->peek<Failed>(of_it);
  ASSERT_NE(failed, nullptr);  // before the stop was answered
  EXPECT_EQ(failed->code, "node.stopped");
  node_->send(ListSandboxes{.request = ++request_});
  auto* list = node_->await<SandboxList>(request_);
  ASSERT_NE(list, nullptr);
  EXPECT_TRUE(list->sandboxes.empty());
  EXPECT_EQ(run(plan, {"true"}).end.status, 0);
}

TEST_P(NodeCallsTest, storage_is_in_use_while_a_calls_sandbox_is_built) {
  const std::string plan = prepare(0);
  const uint64_t call = start(plan, "sb-user", {"sleep", "1000"});
  node_->send(RemoveStorage{.request = ++request_, .workspace = "w"});
  auto* failed = node_->await<Failed>(request_);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "storage.busy");
  EXPECT_NE(node_->await<CallStarted>(call), nullptr);
  stop("sb-user");
}

TEST_P(NodeCallsTest, a_plan_that_is_forgotten_while_it_is_prepared_stays_forgotten) {
  SandboxPlan fresh = plan();
  fresh.hostname = "never-proven";
  node_->send(PrepareCalls{.request = ++request_, .plan = fresh, .parked = 1, .directory = "/"});
  const uint64_t preparing = request_;
  node_->send(ForgetCalls{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  auto* failed = node_->await<Failed>(preparing);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "node.forgotten");
  const uint64_t call = start(plan_digest(fresh), "sb-late", {"true"});
  ASSERT_NE(node_->await<Failed>(call), nullptr);
  EXPECT_EQ(node_->await<Failed>(call)->code, "node.unknown_plan");
}

// A mould that never gets on: on a host directory that does not answer, for instance.
TEST_P(NodeCallsTest, a_mould_that_hangs_fails_its_calls_and_does_not_hold_up_the_end) {
  const std::string plan = prepare(0);
  EXPECT_EQ(run(plan, {"true"}).end.status, 0);
  ASSERT_EQ(moulds().size(), 1u);
  ASSERT_EQ(::kill(moulds()[0], SIGSTOP), 0);
  const uint64_t call = start(plan, "sb-hangs", {"true"});
  auto* failed = node_->await<Failed>(call);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "sandbox.build");
  EXPECT_EQ(run(plan, {"true"}).end.status, 0);  // by another mould
}

TEST_P(NodeCallsTest, a_workspace_that_is_gone_has_no_moulds) {
  SandboxPlan workspace = plan();
  workspace.id = "sb-workspace";
  workspace.depth = Depth::workspace;
  node_->send(StartSandbox{.request = ++request_, .plan = workspace});
  ASSERT_NE(node_->await<SandboxStarted>(request_), nullptr);
  EXPECT_EQ(moulds().size(), 1u);
  stop("sb-workspace");
  node_->send(RemoveStorage{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  EXPECT_THAT(moulds(), IsEmpty());
}

TEST_P(NodeCallsTest, calls_and_what_waits_for_them_die_with_a_killed_saw_node) {
  const std::string plan = prepare(2, {{"bash", WarmRuntime::Kind::bash}});
  run_warm(plan, {"bash", "-c", "true"}, Warmth::runtime);
  const uint64_t call = start(plan, "sb-orphan", {"sh", "-c", "setsid sleep 4321.75 & exec sleep 4321.75"});
  ASSERT_NE(node_->await<CallStarted>(call), nullptr);
  const std::vector<Fd> streams = node_->take_fds<CallStarted>(call);  // sawd's hands are still on it
  std::vector<Fd> children;
  std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", node_->pid()));
  for (pid_t child = 0; list >> child;)
    if (auto process = os::Child::open(child)) children.push_back(std::move(*process).take());
  ASSERT_GE(children.size(), 4u);
  node_->kill_node();
  for (const Fd& child : children) {
    pollfd ended{child.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, 5'000), 1);
  }
  // The cgroups are the next saw-node's to clean.
  ASSERT_TRUE(node_->start());
}

TEST_P(NodeCallsTest, many_calls_at_once_are_all_served) {
  constexpr int kMany = 100;
  const std::string plan = prepare(2);
  std::vector<uint64_t> requests;
  for (int i = 0; i < kMany; ++i) requests.push_back(start(plan, "sb-many-" + std::to_string(i), {"true"}));
  for (int i = 0; i < kMany; ++i) {
    const auto of_it = [&](const auto& message) {
      return message.request == requests[static_cast<size_t>(i)];
    };
    ASSERT_TRUE(
        node_->run_until([&] { return node_->peek<CallStarted>(of_it) || node_->peek<Failed>(of_it); }));
    if (auto* failed = node_->peek<Failed>(of_it)) ADD_FAILURE() << i << ": " << failed->message;
  }
  for (int i = 0; i < kMany; ++i) stop("sb-many-" + std::to_string(i));
}

TEST_P(NodeCallsTest, options_behind_the_c_are_not_taken_for_a_script) {
  const std::string plan = prepare(1, {{"bash", WarmRuntime::Kind::bash}});
  run_warm(plan, {"bash", "-c", "true"}, Warmth::runtime);
  EXPECT_EQ(run(plan, {"bash", "-c", "--", "echo $0", "name"}).output, "name\n");
  EXPECT_EQ(run(plan, {"bash", "-c", "+e", "echo $0", "name"}).output, "name\n");
}

// R84: what memory runs out for ends, and not what serves everybody.
TEST_P(NodeCallsTest, a_command_is_the_kernels_first_choice_when_memory_runs_out) {
  const std::string plan = prepare(1);
  const Ran ran = run(plan, {"sh", "-c",
                             "cat /proc/self/oom_score_adj; echo 0 > /proc/self/oom_score_adj; "
                             "cat /proc/self/oom_score_adj"});
  // An ordinary user's may take back what an ordinary user gave.
  EXPECT_THAT(ran.output, testing::StartsWith("500\n"));
  if (GetParam() == As::root) EXPECT_EQ(ran.output, "500\n500\n");
}

INSTANTIATE_TEST_SUITE_P(As, NodeCallsTest, testing::Values(As::root, As::user),
                         [](const auto& p) { return p.param == As::root ? "root" : "user"; });

}  // namespace
}  // namespace saw::sandbox
