// R10, R15: how sandboxes begin and end, and what outlives what.
#include <csignal>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"

namespace saw::kernel_test {
namespace {
using sandbox::Depth;
using testing::HasSubstr;

TEST(Lifetime, a_command_runs_and_its_output_and_status_come_back) {
  TestHost host;
  for (Depth depth : {Depth::workspace, Depth::session, Depth::call}) {
    TestSandbox box = host.start(depth);
    Ended ended = box.run({"/bin/true"});
    EXPECT_TRUE(ended.how.started);
    EXPECT_EQ(ended.how.wait_status, 0);
    ended = box.run({"bash", "-c", "echo hello from $(hostname); exit 3"});
    EXPECT_EQ(ended.output, "hello from box\n");
    EXPECT_EQ(WEXITSTATUS(ended.how.wait_status), 3);
  }
}

TEST(Lifetime, a_command_that_does_not_exist_says_so) {
  TestHost host;
  TestSandbox box = host.start(Depth::workspace);
  Ended ended = box.run({"no-such-program"});
  EXPECT_FALSE(ended.how.started);
  EXPECT_EQ(ended.how.wait_status, ENOENT);
  EXPECT_EQ(box.run({"/etc/hosts"}).how.wait_status, EACCES);
  EXPECT_EQ(box.probe({"fork"}), "ok");
}

TEST(Lifetime, a_signal_reaches_the_commands_whole_group_and_nobody_else) {
  TestHost host;
  TestSandbox box = host.start(Depth::workspace);
  auto first = box.start({"bash", "-c", "sleep 1000 & echo ready; wait"}),
       second = box.start({"/probe/kernel_probe", "sleep"});
  char ready[6];
  ASSERT_EQ(::read(first.output.get(), ready, sizeof ready), 6);
  box.send(sandbox::SignalCommand{first.exec, SIGTERM});
  EXPECT_EQ(WTERMSIG(box.await_end(first.exec).wait_status), SIGTERM);
  EXPECT_EQ(read_all(first.output, 10).value(), "");  // the sleeper, which held the pipe, is gone too
  EXPECT_EQ(box.probe({"kill", std::to_string(second.pid), "0"}), "ok");
}

TEST(Lifetime, a_terminal_is_a_terminal_and_has_the_size_that_was_asked) {
  TestHost host;
  TestSandbox box = host.start(Depth::workspace);
  auto running = box.start({"bash", "-c", "tty; stty size; read line; stty size"}, true);
  ASSERT_TRUE(running.terminal);
  std::string seen;
  auto read_until = [&](std::string_view mark) {
    char buffer[256];
    for (pollfd ready{running.terminal.get(), POLLIN, 0};
         seen.find(mark) == seen.npos && ::poll(&ready, 1, kPatienceMs) == 1;) {
      ssize_t n = ::read(running.terminal.get(), buffer, sizeof buffer);
      if (n <= 0) return;
      seen.append(buffer, static_cast<size_t>(n));
    }
  };
  read_until("24 80");
  EXPECT_THAT(seen, HasSubstr("/dev/pts/"));
  EXPECT_THAT(seen, HasSubstr("24 80"));
  box.send(sandbox::ResizeCommand{running.exec, 50, 132});
  ASSERT_EQ(box.probe({"fork"}), "ok");  // the resize was handled
  ASSERT_TRUE(write_all(running.terminal, "\n"));
  read_until("50 132");
  EXPECT_THAT(seen, HasSubstr("50 132"));
  EXPECT_EQ(box.await_end(running.exec).wait_status, 0);
}

TEST(Lifetime, commands_go_on_while_nobody_is_connected_and_their_ends_are_told_later) {
  TestHost host;
  TestSandbox box = host.start(Depth::workspace);
  ASSERT_EQ(box.probe({"mkfifo", "/workspace/gate"}), "ok");
  auto stays = box.start({"/probe/kernel_probe", "sleep"});
  auto ends = box.start({"bash", "-c", "read line < /workspace/gate; exit 7"});
  box.disconnect();
  Fd gate = std::move(*Fd::open(host.workspace() + "/workspace/gate", O_WRONLY));  // waits for the reader
  ASSERT_TRUE(write_all(gate, "go\n"));
  EXPECT_EQ(read_all(ends.output, 10).value(), "");
  box.connect();
  EXPECT_THAT(box.running_at_hello, testing::Contains(stays.exec));
  EXPECT_EQ(WEXITSTATUS(box.await_end(ends.exec).wait_status), 7);
  EXPECT_EQ(box.probe({"kill", std::to_string(stays.pid), "0"}), "ok");
}

TEST(Lifetime, a_sandbox_that_was_not_released_dies_with_its_maker) {
  TestHost host;
  auto launched = host.launcher().launch(host.plan(Depth::call), host.layers(Depth::call));
  ASSERT_TRUE(launched) << launched.error().message;
  launched->go_pipe.reset();  // as if saw-node had died before the record was written
  pollfd ended{launched->init_pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, kPatienceMs), 1);
  TestSandbox cleans_up(host.launcher(), std::move(*launched));
}

// The maker is another process, killed once it has released the sandbox.
TEST(Lifetime, a_released_sandbox_outlives_its_maker) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  Pipe report = std::move(*Pipe::create());
  const sandbox::Layers layers = host.layers(Depth::workspace);
  const pid_t maker = ::fork();
  if (maker == 0) {
    auto launched = host.launcher().launch(plan, layers);
    if (!launched || !launched->go()) ::_exit(1);
    const int32_t pid = launched->init_pid;
    if (!write_all(report.write, std::string_view(reinterpret_cast<const char*>(&pid), sizeof pid)))
      ::_exit(1);
    ::pause();
  }
  int32_t init = 0;
  ASSERT_EQ(::read(report.read.get(), &init, sizeof init), static_cast<ssize_t>(sizeof init));
  sandbox::Launched adopted{
      .init_pid = init, .control_socket = host.directory() + "/run/" + plan.id + ".sock", .cgroup = plan.id};
  TestSandbox box(host.launcher(), std::move(adopted));
  box.connect();  // it serves: released
  box.disconnect();
  ::kill(maker, SIGKILL);
  ::waitpid(maker, nullptr, 0);
  box.connect();
  EXPECT_EQ(box.probe({"fork"}), "ok");
  ::kill(init, SIGKILL);
  for (int i = 0; i < 2000 && ::kill(init, 0) == 0; ++i) ::usleep(1000);  // not our child: nothing else tells
  EXPECT_TRUE(host.launcher().release_cgroup(plan.id));
}

TEST(Lifetime, many_calls_leave_nothing_behind) {
  TestHost host;
  auto count = [](const char* directory) {
    return std::distance(std::filesystem::directory_iterator(directory),
                         std::filesystem::directory_iterator());
  };
  host.start(Depth::call);  // what is made once is made now
  const auto descriptors = count("/proc/self/fd");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(host.start(Depth::call).probe({"fork"}), "ok");
  EXPECT_EQ(count("/proc/self/fd"), descriptors);
  EXPECT_EQ(count((host.directory() + "/run").c_str()), 0);
  EXPECT_THAT(host.launcher().existing_cgroups(), testing::IsEmpty());
}

// Not a benchmark (those are in bench/); a number for whoever reads the log.
TEST(Lifetime, a_call_sandbox_is_there_in_less_than_a_second) {
  TestHost host;
  for (int i = 0; i < 10; ++i) {
    const Nanos before = SystemClock().monotonic();
    TestSandbox box = host.start(Depth::call);
    box.run({"/bin/true"});
    const Nanos took = SystemClock().monotonic() - before;
    std::printf("call %d: %.1f ms\n", i, static_cast<double>(took) / kMillisecond);
    EXPECT_LT(took, kSecond);
  }
}

TEST(Lifetime, the_host_probe_says_that_sandboxes_work_here) {
  TestHost host;
  const auto features = sandbox::probe_host({.rootless = rootless(),
                                             .run_directory = host.directory() + "/run",
                                             .scratch_directory = host.directory() + "/scratch",
                                             .init_path = SAW_INIT_PATH});
  ASSERT_FALSE(features.empty());
  for (const auto& f : features)
    std::printf("%s: %d %s; %s\n", f.name.c_str(), static_cast<int>(f.state), f.detail.c_str(),
                f.consequence.c_str());
  EXPECT_EQ(features[0].state, sandbox::HostFeature::State::ok) << features[0].detail;
  const auto broken = sandbox::probe_host({.run_directory = host.directory() + "/run",
                                           .scratch_directory = host.directory() + "/scratch",
                                           .init_path = "/nonexistent"});
  EXPECT_EQ(broken[0].state, sandbox::HostFeature::State::missing);
}

// The report of a mould may be lost with the mould, and the sandbox be there all the same.
TEST(Lifetime, whenever_a_mould_dies_its_sandbox_comes_up_or_goes_and_nobody_waits) {
  constexpr int kRounds = 400, kStepMicroseconds = 20, kPatienceMsEach = 3'000;
  TestHost host;
  const sandbox::SandboxPlan plan = host.plan(Depth::call);
  const sandbox::Layers layers = host.layers(Depth::call);
  const auto prepared = host.launcher().prepare(plan, layers);
  ASSERT_TRUE(prepared) << prepared.error().message;
  int up = 0, gone = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto serve = round % 2 ? sandbox::Serve::once : sandbox::Serve::many;
    auto launching = host.launcher().begin(*prepared, {.id = fmt::format("sb-{}", round), .serve = serve});
    ASSERT_TRUE(launching) << launching.error().message;
    const timespec pause{.tv_nsec = long{round} * kStepMicroseconds * 1000};
    ::nanosleep(&pause, nullptr);
    host.launcher().drop_moulds(layers.root);
    while (true) {
      pollfd ready{launching->report.get(), POLLIN, 0};
      ASSERT_EQ(::poll(&ready, 1, kPatienceMsEach), 1) << "round " << round << ": neither up nor gone";
      auto finished = host.launcher().finish(*launching);
      if (!finished) {
        EXPECT_EQ(finished.error().code, "sandbox.build");
        EXPECT_THAT(finished.error().message, testing::Not(HasSubstr("control group")));
        ++gone;
        break;
      }
      if (!*finished) continue;
      EXPECT_EQ(::kill((*finished)->init_pid, 0), 0);
      TestSandbox ends_it(host.launcher(), std::move(**finished));
      ++up;
      break;
    }
  }
  EXPECT_GT(up, 0);
  EXPECT_GT(gone, 0);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a process was left behind";
}

// On a host directory that does not answer, for instance.
TEST(Lifetime, a_mould_that_hangs_costs_one_launch_and_not_the_next) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  {
    TestSandbox first = host.start(plan);
    std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", ::getpid()));
    for (pid_t child = 0; children >> child;)
      if (child != first.launched().init_pid) ASSERT_EQ(::kill(child, SIGSTOP), 0);
  }
  plan.id += "-2";
  auto hung = host.launcher().launch(plan, host.layers(Depth::workspace));
  ASSERT_FALSE(hung);
  EXPECT_EQ(hung.error().code, "sandbox.build");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a process is left";
  plan.id += "-3";
  EXPECT_EQ(host.start(plan).probe({"fork"}), "ok");
}

}  // namespace
}  // namespace saw::kernel_test
