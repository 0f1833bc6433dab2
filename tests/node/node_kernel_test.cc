// saw-node, saw-init and the kernel together, as root and as an ordinary user, with the test in sawd's place.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node_under_test.h"
#include "sandbox/launch.h"

namespace saw::sandbox {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::As;
using testing_support::NodeUnderTest;

class NodeKernelTest : public testing::TestWithParam<As> {
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

  // Sandboxes outlive a saw-node that is merely killed, so each test ends with a proper stop.
  void TearDown() override {
    if (!node_) return;
    if (!node_->is_running() && !node_->start()) return;
    shut_down();
    expect_nothing_left();
  }

  static SandboxPlan plan(const std::string& id, Depth depth, const std::string& workspace = "w",
                          const std::string& session = "s") {
    return {.id = id,
            .depth = depth,
            .workspace = workspace,
            .session = depth == Depth::session ? session : "",
            .image_root = "/",
            .read_paths = {"/usr", "/bin", "/lib", "/lib64", "/etc"},
            .write_paths = {"/workspace", "/home/agent"},
            .limits = {.pids = 64},
            .hostname = "dev",
            .strictness = Strictness::best_effort};
  }
  void start_sandbox(const std::string& id, Depth depth, const std::string& workspace = "w",
                     const std::string& session = "s") {
    node_->send(StartSandbox{.request = ++request_, .plan = plan(id, depth, workspace, session)});
    auto* started = node_->await<SandboxStarted>(request_);
    if (started == nullptr) {
      auto* failed = node_->await<Failed>(request_);
      FAIL() << id << ": " << (failed != nullptr ? failed->message : "no answer");
    }
    EXPECT_EQ(node_->take_fds<SandboxStarted>(request_).size(), 2u);
  }
  void stop_sandbox(const std::string& id) {
    node_->send(StopSandbox{.request = ++request_, .sandbox = id});
    ASSERT_NE(node_->await<Done>(request_), nullptr);
  }

  struct Running {
    uint64_t exec = 0;
    int32_t host_pid = 0;
    std::vector<Fd> fds;
  };
  Running start_command(const std::string& id, const std::string& script) {
    node_->send(StartExec{
        .request = ++request_,
        .sandbox = id,
        .spec = {
            .argv = {"sh", "-c", script}, .environment = {"PATH=/usr/bin:/bin"}, .directory = "/workspace"}});
    auto* started = node_->await<ExecStarted>(request_);
    if (started == nullptr) {
      ADD_FAILURE() << "'" << script << "' did not start";
      return {};
    }
    return {started->exec, started->host_pid, node_->take_fds<ExecStarted>(request_)};
  }
  ExecExited await_end(uint64_t exec) {
    ExecExited end;
    EXPECT_TRUE(node_->run_until([&] {
      auto* exited = node_->peek<ExecExited>([&](const ExecExited& e) { return e.exec == exec; });
      if (exited != nullptr) end = *exited;
      return exited != nullptr;
    }));
    return end;
  }
  // Output and exit status.
  std::pair<std::string, int> run(const std::string& id, const std::string& script) {
    Running command = start_command(id, script);
    if (command.fds.size() != 3) return {"", -1};
    command.fds[0].reset();
    const std::string out =
        read_all(command.fds[1], 1 << 20).value_or("") + read_all(command.fds[2], 1 << 20).value_or("");
    const ExecExited end = await_end(command.exec);
    return {out, end.end == ExecEnd::exited ? end.status : -1};
  }
  void shut_down() {
    if (!node_->is_running()) return;
    node_->send(Shutdown{});
    ASSERT_TRUE(node_->wait_node_ended());
  }
  void expect_nothing_left() {
    EXPECT_THAT(node_->files_in_run(), IsEmpty());  // nor what it remembers of sandboxes
    EXPECT_THAT(node_->cgroups(), IsEmpty());
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);)
      EXPECT_EQ(line.find(node_->directory()), line.npos) << line;
  }

  std::unique_ptr<NodeUnderTest> node_;
  uint64_t request_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Both, NodeKernelTest, testing::Values(As::root, As::user), [](const auto& info) {
  return info.param == As::root ? "as_root" : "as_an_ordinary_user";
});

TEST_P(NodeKernelTest, the_start_is_announced_when_sawd_is_ready_and_a_second_start_says_so) {
  node_->send(ControlReady{});
  EXPECT_EQ(node_->ready_line(), "ready\n");
  const auto [output, status] = node_->start_again();
  EXPECT_EQ(output, "already running\n");
  EXPECT_EQ(status, 0);
}

TEST_P(NodeKernelTest, a_command_runs_with_its_streams_and_its_status) {
  start_sandbox("sb-w", Depth::workspace);
  EXPECT_EQ(run("sb-w", "echo out; echo err >&2; exit 3"), (std::pair<std::string, int>{"out\nerr\n", 3}));
  Running cat = start_command("sb-w", "cat");
  ASSERT_EQ(cat.fds.size(), 3u);
  ASSERT_TRUE(write_all(cat.fds[0], "through"));
  cat.fds[0].reset();
  EXPECT_EQ(read_all(cat.fds[1], 100).value_or(""), "through");
  EXPECT_EQ(await_end(cat.exec).status, 0);
  EXPECT_EQ(run("sb-w", "echo again > /dev/stdout"), (std::pair<std::string, int>{"again\n", 0}));
  stop_sandbox("sb-w");
}

TEST_P(NodeKernelTest, a_program_that_is_not_there_is_a_command_that_did_not_start) {
  start_sandbox("sb-w", Depth::workspace);
  node_->send(StartExec{
      .request = ++request_, .sandbox = "sb-w", .spec = {.argv = {"/no/such/program"}, .directory = "/"}});
  auto* started = node_->await<ExecStarted>(request_);
  ASSERT_NE(started, nullptr);
  const ExecExited end = await_end(started->exec);
  EXPECT_EQ(end.end, ExecEnd::not_started);
  EXPECT_EQ(end.status, ENOENT);
}

TEST_P(NodeKernelTest, a_signal_ends_a_command_and_its_group) {
  start_sandbox("sb-w", Depth::workspace);
  Running command = start_command("sb-w", "sleep 1000 & echo $!; wait");
  ASSERT_EQ(command.fds.size(), 3u);
  char byte = 0;
  ASSERT_EQ(::read(command.fds[1].get(), &byte, 1), 1);
  EXPECT_GT(command.host_pid, 1);
  EXPECT_TRUE(std::filesystem::exists("/proc/" + std::to_string(command.host_pid)));
  node_->send(SignalExec{.sandbox = "sb-w", .exec = command.exec, .signal = SIGTERM});
  const ExecExited end = await_end(command.exec);
  EXPECT_EQ(end.end, ExecEnd::signalled);
  EXPECT_EQ(end.status, SIGTERM);
  EXPECT_NE(run("sb-w", "pgrep sleep").second, 0);
}

TEST_P(NodeKernelTest, a_command_that_takes_too_much_memory_is_told_apart_from_one_that_was_killed) {
  if (GetParam() != As::root) GTEST_SKIP() << "an ordinary user has no memory controller here";
  SandboxPlan small = plan("sb-m", Depth::call);
  small.limits.memory_bytes = 64u << 20;
  node_->send(StartSandbox{.request = ++request_, .plan = small});
  ASSERT_NE(node_->await<SandboxStarted>(request_), nullptr);
  Running hungry = start_command("sb-m", "exec tail /dev/zero");
  EXPECT_EQ(await_end(hungry.exec).end, ExecEnd::out_of_memory);
  Running killed = start_command("sb-m", "kill -9 $$");
  const ExecExited end = await_end(killed.exec);
  EXPECT_EQ(end.end, ExecEnd::signalled);
  EXPECT_EQ(end.status, SIGKILL);
}

TEST_P(NodeKernelTest, a_command_that_wanted_too_many_processes_is_told_how_many_were_refused) {
  if (GetParam() != As::root) GTEST_SKIP() << "an ordinary user has no pids controller here";
  SandboxPlan small = plan("sb-p", Depth::call);
  small.limits.pids = 8;
  node_->send(StartSandbox{.request = ++request_, .plan = small});
  ASSERT_NE(node_->await<SandboxStarted>(request_), nullptr);
  Running many = start_command("sb-p", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 100 & done; exit 9");
  const ExecExited end = await_end(many.exec);
  EXPECT_EQ(end.end, ExecEnd::exited) << "nothing killed it";
  EXPECT_NE(end.status, 0);
  EXPECT_GT(end.met.forks_refused, 0u);
  SandboxPlan roomy = plan("sb-q", Depth::call);
  roomy.limits.pids = 64;
  node_->send(StartSandbox{.request = ++request_, .plan = roomy});
  ASSERT_NE(node_->await<SandboxStarted>(request_), nullptr);
  Running few = start_command("sb-q", "sleep 100 & sleep 100 & exit 9");
  const ExecExited benign = await_end(few.exec);
  EXPECT_EQ(benign.status, 9);
  EXPECT_EQ(benign.met.forks_refused, 0u);
}

TEST_P(NodeKernelTest, a_command_whose_file_grows_beyond_its_limit_is_told_apart_and_one_below_it_is_not) {
  SandboxPlan small = plan("sb-f", Depth::call);
  small.limits.file_size_bytes = 100'000;
  node_->send(StartSandbox{.request = ++request_, .plan = small});
  ASSERT_NE(node_->await<SandboxStarted>(request_), nullptr);
  Running large = start_command("sb-f", "exec head -c 200000 /dev/zero > /tmp/large");
  EXPECT_EQ(await_end(large.exec).end, ExecEnd::file_too_large);
  Running fits = start_command("sb-f", "exec head -c 99999 /dev/zero > /tmp/fits");
  const ExecExited end = await_end(fits.exec);
  EXPECT_EQ(end.end, ExecEnd::exited);
  EXPECT_EQ(end.status, 0);
}

TEST_P(NodeKernelTest, what_a_workspace_writes_survives_and_what_a_session_or_a_call_writes_does_not) {
  start_sandbox("sb-w", Depth::workspace);
  ASSERT_EQ(run("sb-w", "echo one > /workspace/file; mkdir /workspace/kept; echo k > /workspace/gone").second,
            0);
  stop_sandbox("sb-w");
  start_sandbox("sb-w2", Depth::workspace);
  EXPECT_EQ(run("sb-w2", "cat /workspace/file").first, "one\n");

  start_sandbox("sb-s", Depth::session);
  EXPECT_EQ(
      run("sb-s",
          "cat /workspace/file; echo two > /workspace/file; rm /workspace/gone; echo n > /workspace/new")
          .first,
      "one\n");
  node_->send(ListChanges{.request = ++request_, .workspace = "w", .session = "s"});
  auto* changes = node_->await<Changes>(request_);
  ASSERT_NE(changes, nullptr);
  std::vector<std::string> lines;
  for (const Change& change : changes->changes)
    if (change.path.starts_with("/workspace/"))
      lines.push_back("+~-"[static_cast<int>(change.kind)] + change.path);
  EXPECT_THAT(lines, ElementsAre("~/workspace/file", "-/workspace/gone", "+/workspace/new"));

  start_sandbox("sb-c", Depth::call);
  EXPECT_EQ(run("sb-c", "cat /workspace/file; echo three > /workspace/file; cat /workspace/file").first,
            "one\nthree\n");
  stop_sandbox("sb-c");
  stop_sandbox("sb-s");
  node_->send(RemoveStorage{.request = ++request_, .workspace = "w", .session = "s"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  EXPECT_EQ(run("sb-w2", "cat /workspace/file").first, "one\n");
  stop_sandbox("sb-w2");
  node_->send(RemoveStorage{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  EXPECT_TRUE(std::filesystem::is_empty(node_->directory() + "/state/node/ws"));
}

TEST_P(NodeKernelTest, a_fork_shows_the_files_as_its_own_agents_and_each_side_keeps_its_changes) {
  start_sandbox("sb-w", Depth::workspace);
  ASSERT_EQ(
      run("sb-w", "mkdir -p d/e; echo one > d/file; echo x > d/gone; chmod 700 d; ln -s file d/link").second,
      0);
  // Nothing is forked below a sandbox that writes to it.
  node_->send(ForkStorage{.request = ++request_, .workspace = "w", .fork = "x"});
  auto* refused = node_->await<Failed>(request_);
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->code, "storage.busy");
  stop_sandbox("sb-w");
  node_->send(ForkStorage{.request = ++request_, .workspace = "w", .fork = "x"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);

  start_sandbox("sb-w2", Depth::workspace);
  start_sandbox("sb-x", Depth::workspace, "x");
  const std::string owner = "stat -c %u-%g d/file | grep -qx $(id -u)-$(id -g) && echo mine; ";
  EXPECT_EQ(
      run("sb-x", owner + "cat d/file; echo two > d/file; rm d/gone; rmdir d/e; chmod 755 d/file").first,
      "mine\none\n");
  EXPECT_EQ(run("sb-w2", owner + "cat d/file d/gone; echo three >> d/file; ls d").first,
            "mine\none\nx\ne\nfile\ngone\nlink\n");
  EXPECT_EQ(
      run("sb-x", "cat d/link; ls d; echo fine > d/new && stat -c %u d/new | grep -qx $(id -u) && echo mine")
          .first,
      "two\nfile\nlink\nmine\n");
  // What stands on the fork sees what is written there later, in directories that only frozen layers had.
  start_sandbox("sb-early", Depth::call, "w");
  EXPECT_EQ(run("sb-w2", "echo late > /workspace/late; echo l > /home/agent/late").second, 0);
  EXPECT_EQ(run("sb-early", "cat /workspace/late /home/agent/late").first, "late\nl\n");
  stop_sandbox("sb-early");
  // Deeper: a session and a call in the fork, and a fork of the fork with the original gone.
  start_sandbox("sb-xs", Depth::session, "x");
  EXPECT_EQ(run("sb-xs", "cat d/file; echo s > d/file; ls d").first, "two\nfile\nlink\nnew\n");
  start_sandbox("sb-xc", Depth::call, "x");
  EXPECT_EQ(run("sb-xc", "cat d/file; ls d").first, "two\nfile\nlink\nnew\n");
  for (const char* id : {"sb-xc", "sb-xs", "sb-x", "sb-w2"}) stop_sandbox(id);
  node_->send(RemoveStorage{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  node_->send(ForkStorage{.request = ++request_, .workspace = "x", .fork = "y"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  start_sandbox("sb-y", Depth::workspace, "y");
  EXPECT_EQ(run("sb-y", "cat d/file; ls d; rm -r d && mkdir d && ls d").first, "two\nfile\nlink\nnew\n");
  stop_sandbox("sb-y");
  for (const char* workspace : {"x", "y"}) {
    node_->send(RemoveStorage{.request = ++request_, .workspace = workspace});
    ASSERT_NE(node_->await<Done>(request_), nullptr);
  }
  for (const char* place : {"ws", "layers", "trash"})
    EXPECT_TRUE(std::filesystem::is_empty(node_->directory() + "/state/node/" + place)) << place;
}

TEST_P(NodeKernelTest, a_forked_session_tells_all_that_it_changed_whichever_layer_holds_it) {
  start_sandbox("sb-w", Depth::workspace);
  ASSERT_EQ(run("sb-w", "echo b > base; echo g > gone; mkdir old; echo o > old/f").second, 0);
  start_sandbox("sb-s", Depth::session);
  ASSERT_EQ(run("sb-s", "echo n > new; echo t > temporary; echo 2 > base; rm -r old; rm gone").second, 0);
  stop_sandbox("sb-s");
  node_->send(ForkStorage{.request = ++request_, .workspace = "w", .session = "s", .fork = "t"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  start_sandbox("sb-t", Depth::session, "w", "t");
  EXPECT_EQ(
      run("sb-t", "ls; rm temporary; echo again > gone; echo more >> new; mkdir deep; echo d > deep/f").first,
      "base\nnew\ntemporary\n");
  const auto changes_of = [&](const std::string& session) {
    node_->send(ListChanges{.request = ++request_, .workspace = "w", .session = session});
    auto* changes = node_->await<Changes>(request_);
    std::vector<std::string> lines;
    if (changes != nullptr)
      for (const Change& change : changes->changes)
        lines.push_back("+~-"[static_cast<int>(change.kind)] + change.path);
    return lines;
  };
  EXPECT_THAT(changes_of("t"),
              ElementsAre("~/workspace/base", "+/workspace/deep", "+/workspace/deep/f", "~/workspace/gone",
                          "+/workspace/new", "-/workspace/old", "-/workspace/old/f"));
  EXPECT_THAT(changes_of("s"), ElementsAre("~/workspace/base", "-/workspace/gone", "+/workspace/new",
                                           "-/workspace/old", "-/workspace/old/f", "+/workspace/temporary"));
  stop_sandbox("sb-t");
  stop_sandbox("sb-w");
}

TEST_P(NodeKernelTest, a_rebuilt_workspace_shows_nothing_that_was_ever_written_in_it) {
  start_sandbox("sb-w", Depth::workspace);
  ASSERT_EQ(run("sb-w", "echo good > f; echo 'evil &' > /home/agent/.profile").second, 0);
  stop_sandbox("sb-w");
  node_->send(TakeSnapshot{.request = ++request_, .workspace = "w", .snapshot = "before"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  start_sandbox("sb-w2", Depth::workspace);
  ASSERT_EQ(run("sb-w2", "rm f; echo worse > g").second, 0);
  stop_sandbox("sb-w2");
  node_->send(RebuildStorage{.request = ++request_, .workspace = "w", .snapshot = "before"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  start_sandbox("sb-w3", Depth::workspace);
  EXPECT_EQ(run("sb-w3", "cat f; ls").first, "good\nf\n");
  stop_sandbox("sb-w3");
  node_->send(RebuildStorage{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<Done>(request_), nullptr);
  start_sandbox("sb-w4", Depth::workspace);
  EXPECT_EQ(run("sb-w4", "ls -A /workspace /home/agent | cat").first, "/home/agent:\n\n/workspace:\n");
  stop_sandbox("sb-w4");
}

TEST_P(NodeKernelTest, a_killed_saw_node_finds_its_sandboxes_again_with_their_processes) {
  start_sandbox("sb-w", Depth::workspace);
  start_sandbox("sb-c", Depth::call);
  Running job = start_command("sb-w", "echo here; exec sleep 1000");
  ASSERT_EQ(job.fds.size(), 3u);
  char byte = 0;
  ASSERT_EQ(::read(job.fds[1].get(), &byte, 1), 1);
  for (int life = 0; life < 3; ++life) {
    node_->kill_node();
    EXPECT_EQ(::kill(job.host_pid, 0), 0) << "a sandbox outlives saw-node";
    ASSERT_TRUE(node_->start());
    node_->send(ListSandboxes{.request = ++request_});
    auto* list = node_->await<SandboxList>(request_);
    ASSERT_NE(list, nullptr);
    ASSERT_EQ(list->sandboxes.size(), 1u) << "the call's client is gone";
    EXPECT_EQ(list->sandboxes[0].sandbox, "sb-w");
    node_->send(GetSockets{.request = ++request_, .sandbox = "sb-w"});
    ASSERT_NE(node_->await<SandboxStarted>(request_), nullptr);
    EXPECT_EQ(node_->take_fds<SandboxStarted>(request_).size(), 2u);
    EXPECT_EQ(run("sb-w", "pgrep -c sleep").first, "1\n");
  }
  node_->send(SignalExec{.sandbox = "sb-w", .exec = job.exec, .signal = SIGKILL});
  EXPECT_EQ(await_end(job.exec).status, SIGKILL);
  shut_down();
  EXPECT_NE(::kill(job.host_pid, 0), 0);
}

TEST_P(NodeKernelTest, a_sandbox_that_outlived_its_saw_node_and_then_died_is_cleared) {
  start_sandbox("sb-w", Depth::workspace);
  Running job = start_command("sb-w", "exec sleep 1000");
  node_->kill_node();
  // Its init, which is the parent of the command: the whole pid namespace goes with it.
  std::ifstream stat("/proc/" + std::to_string(job.host_pid) + "/stat");
  std::string pid, name, state;
  int32_t init = 0;
  stat >> pid >> name >> state >> init;
  ASSERT_GT(init, 1);
  auto child = os::Child::open(init);
  ASSERT_TRUE(child);
  child->kill(SIGKILL);
  ASSERT_TRUE(child->wait_ended(5'000));
  ASSERT_TRUE(node_->start());
  node_->send(ListSandboxes{.request = ++request_});
  ASSERT_NE(node_->await<SandboxList>(request_), nullptr);
  EXPECT_TRUE(node_->await<SandboxList>(request_)->sandboxes.empty());
  start_sandbox("sb-w", Depth::workspace);
}

TEST_P(NodeKernelTest, the_programs_run_without_capabilities_and_die_with_saw_node) {
  node_->send(StartEgress{.request = ++request_, .workspace = "w"});
  ASSERT_NE(node_->await<EgressStarted>(request_), nullptr);
  std::vector<std::string> programs;
  for (const auto& item : std::filesystem::directory_iterator("/proc")) {
    std::ifstream cmdline(item.path() / "cmdline");
    std::string text((std::istreambuf_iterator<char>(cmdline)), {});
    std::ifstream status_file(item.path() / "status");
    std::string status((std::istreambuf_iterator<char>(status_file)), {});
    const bool ours = text.find(node_->directory() + "/state") != text.npos && text.starts_with("sawd");
    if (!ours) continue;
    programs.push_back(item.path().string());
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
      EXPECT_NE(status.find(std::string(set) + ":\t0000000000000000"), status.npos) << set;
    EXPECT_NE(status.find("NoNewPrivs:\t1"), status.npos);
    if (GetParam() == As::root) EXPECT_NE(status.find("Uid:\t720000\t720000\t720000\t720000"), status.npos);
  }
  ASSERT_EQ(programs.size(), 1u);
  node_->kill_node();
  EXPECT_TRUE(node_->run_until([&] {
    return !std::filesystem::exists(programs[0] + "/exe") ||
           std::ifstream(programs[0] + "/cmdline").peek() == EOF;
  }));
}

// The host's own kernel is not among what the namespace driver promises.
TEST_P(NodeKernelTest, a_strict_saw_node_starts_where_every_guarantee_is_given_and_nowhere_else) {
  auto* hello = node_->await<NodeHello>();
  ASSERT_NE(hello, nullptr);
  const auto missing = std::ranges::count_if(
      hello->degraded, [](const std::string& feature) { return !feature.starts_with(kOwnKernel); });
  shut_down();
  EXPECT_EQ(node_->start(Strictness::strict), missing == 0);
  if (missing == 0) return;
  EXPECT_TRUE(node_->wait_node_ended());
  EXPECT_THAT(node_->ready_line(), testing::HasSubstr("every guarantee that --strict asks for"));
}

TEST_P(NodeKernelTest, sawds_uid_cannot_look_into_saw_nodes_directory) {
  if (GetParam() != As::root) GTEST_SKIP() << "one uid for everything";
  struct stat info{};
  ASSERT_EQ(::stat((node_->directory() + "/state/node").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  EXPECT_EQ(info.st_uid, 0u);
  ASSERT_EQ(::stat((node_->directory() + "/state/control").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  EXPECT_EQ(info.st_uid, 720'000u);
}

}  // namespace
}  // namespace saw::sandbox
