#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness.h"

namespace saw::kernel_test {
namespace {
using sandbox::Depth;

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
  EXPECT_EQ(box.probe({"fork"}), "ok");
}

}  // namespace
}  // namespace saw::kernel_test
