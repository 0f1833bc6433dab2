// R84, R87: hostile children, limits.
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

namespace saw::kernel_test {
namespace {
using sandbox::Depth;
using testing::AnyOf;
using testing::HasSubstr;

TEST(Process, killing_everything_leaves_saw_init) {
  TestHost host;
  TestSandbox box = host.start(Depth::workspace);
  auto victim = box.start({"/probe/kernel_probe", "sleep"});
  EXPECT_EQ(box.probe({"kill", "1", "9"}),
            "ok");  // allowed, and without effect: PID 1 takes no signal from inside
  EXPECT_THAT(box.probe({"kill", "-1", "9"}), AnyOf("ok", "ESRCH", "signal 9"));
  EXPECT_EQ(WTERMSIG(box.await_end(victim.exec).wait_status), SIGKILL);
  EXPECT_EQ(box.probe({"fork"}), "ok");
}

TEST(Process, another_sandboxs_processes_do_not_exist) {
  TestHost host;
  TestSandbox box = host.start(Depth::call), other = host.start(Depth::call);
  auto victim = other.start({"/probe/kernel_probe", "sleep"});
  EXPECT_EQ(box.probe({"kill", std::to_string(other.launched().init_pid), "0"}), "ESRCH");
  EXPECT_EQ(box.probe({"kill", std::to_string(::getpid()), "0"}), "ESRCH");
  EXPECT_THAT(box.probe({"kill", "-1", "9"}), AnyOf("ok", "ESRCH", "signal 9"));
  EXPECT_EQ(other.probe({"kill", std::to_string(victim.pid), "0"}), "ok");
}

TEST(Process, a_fork_bomb_stops_at_the_limit_and_the_sandbox_still_answers) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.limits.pids = 20;
  TestSandbox box = host.start(plan);
  const std::string bomb = box.probe({"forks", "100"});
  EXPECT_THAT(bomb, testing::Not(HasSubstr("100 ")));
  EXPECT_EQ(box.probe({"fork"}), "ok");
  plan.id += "-2";
  plan.limits.pids = 0;
  TestSandbox unlimited = host.start(plan);
  EXPECT_THAT(unlimited.probe({"forks", "100"}), HasSubstr("100 "));  // the guard is missing here
}

TEST(Process, memory_beyond_the_limit_kills_the_command_and_not_the_sandbox) {
  if (rootless()) GTEST_SKIP() << "this user has no memory cgroup";
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.limits.memory_bytes = 64u << 20;
  TestSandbox box = host.start(plan);
  EXPECT_EQ(box.probe({"memory", "16777216"}), "ok");
  EXPECT_EQ(box.probe({"memory", "268435456"}), "signal 9");
  EXPECT_EQ(box.probe({"fork"}), "ok");
}

TEST(Process, scratch_files_and_descriptors_have_limits) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.limits.scratch_bytes = 8u << 20;
  plan.limits.open_files = 64;
  plan.limits.file_size_bytes = 1u << 20;
  TestSandbox box = host.start(plan);
  EXPECT_THAT(box.run({"bash", "-c",
                       "for i in 1 2 3 4 5 6 7 8 9 10; do head -c 1000000 /dev/zero > /tmp/$i || echo full; "
                       "done 2>&1"})
                  .output,
              HasSubstr("No space left"));
  EXPECT_THAT(box.run({"bash", "-c", "head -c 3000000 /dev/zero > /workspace/big"}).how.wait_status,
              testing::Ne(0));
  EXPECT_EQ(box.probe({"open-files", "40"}), "ok");
  EXPECT_EQ(box.probe({"open-files", "100"}), "EMFILE");
  EXPECT_EQ(box.probe({"raise-limit"}), "EPERM");
}

TEST(Process, terminals_and_empty_files_have_limits_too) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.limits.scratch_bytes = 4u << 20;
  TestSandbox box = host.start(plan);
  EXPECT_EQ(box.probe({"terminals", "100"}), "ok");
  EXPECT_EQ(box.probe({"terminals", "400"}), "ENOSPC");
  EXPECT_EQ(box.probe({"empty-files", "/dev/shm", "1000"}), "ok");
  EXPECT_EQ(box.probe({"empty-files", "/tmp", "5000"}), "ENOSPC");
}

// Between its fork and its exec a command is the agent's: to stop, or to keep waiting for a lease on its
// file.
TEST(Process, a_command_that_the_agent_holds_up_at_birth_does_not_hold_up_saw_init) {
  TestHost host;
  TestSandbox box = host.start(Depth::workspace);
  ASSERT_EQ(box.run({"cp", "/usr/bin/true", "/workspace/program"}).how.wait_status, 0);
  EXPECT_EQ(box.run({"/workspace/program"}).how.wait_status, 0);
  auto holder = box.start({"/probe/kernel_probe", "lease", "/workspace/program"});
  char ready[7];
  ASSERT_EQ(::read(holder.output.get(), ready, sizeof ready), 7);
  Ended held = box.run({"/workspace/program"});
  EXPECT_FALSE(held.how.started);
  EXPECT_EQ(held.how.wait_status, ETIMEDOUT);
  EXPECT_EQ(box.probe({"fork"}), "ok");
}

TEST(Process, strict_refuses_a_host_that_cannot_limit_memory) {
  if (!rootless()) GTEST_SKIP() << "this user can limit memory; run as an ordinary user";
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.limits.memory_bytes = 64u << 20;
  auto best_effort = host.launcher().launch(plan, host.layers(Depth::call));
  ASSERT_TRUE(best_effort) << best_effort.error().message;
  EXPECT_THAT(best_effort->degraded, testing::Contains(HasSubstr("cgroup-memory")));
  TestSandbox ends_it(host.launcher(), std::move(*best_effort));
  plan.id += "-2";
  plan.strictness = sandbox::Strictness::strict;
  auto strict = host.launcher().launch(plan, host.layers(Depth::call));
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().code, "sandbox.missing_feature");
}

TEST(Process, orphans_are_reaped_and_end_with_the_sandbox) {
  TestHost host;
  int32_t init = 0;
  {
    TestSandbox box = host.start(Depth::workspace);
    init = box.launched().init_pid;
    EXPECT_EQ(box.probe({"orphan"}), "ok");
    EXPECT_EQ(
        box.run({"bash", "-c", "ps -eo stat,args 2>/dev/null | grep -c '^Z' || true"}).output.substr(0, 1),
        "0");
  }
  EXPECT_EQ(::kill(init, 0), -1);
}

}  // namespace
}  // namespace saw::kernel_test
