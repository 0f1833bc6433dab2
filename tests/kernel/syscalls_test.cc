// R84, R85: what the kernel is not asked. Each refusal has a twin that works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "harness.h"

namespace saw::kernel_test {
namespace {
using sandbox::Depth;
using testing::AnyOf;
using testing::HasSubstr;
using testing::MatchesRegex;

class Syscalls : public testing::Test {
 protected:
  TestHost host;
  TestSandbox box = host.start(Depth::call);
};

TEST_F(Syscalls, namespaces_cannot_be_made_or_entered_and_processes_can) {
  EXPECT_EQ(box.probe({"fork"}), "ok");
  for (const char* flag :
       {"0x10000000" /* user */, "0x00020000" /* mount */, "0x40000000" /* net */, "0x20000000" /* pid */})
    EXPECT_EQ(box.probe({"unshare", flag}), "EPERM") << flag;
  EXPECT_EQ(box.probe({"clone-user"}), "EPERM");
  EXPECT_EQ(box.probe({"clone3"}), "ENOSYS");
  EXPECT_EQ(box.probe({"setns", "/proc/self/ns/net"}), "EPERM");
}

TEST_F(Syscalls, other_processes_cannot_be_read_or_traced) {
  EXPECT_EQ(box.probe({"ptrace", "1"}), "EPERM");
  EXPECT_EQ(box.probe({"process-vm", "1"}), "EPERM");
}

TEST_F(Syscalls, dangerous_subsystems_are_refused) {
  for (const char* verb :
       {"keyctl", "io-uring", "bpf", "perf", "userfaultfd", "open-by-handle", "sethostname"})
    EXPECT_EQ(box.probe({verb}), "EPERM") << verb;
}

TEST_F(Syscalls, typing_into_the_terminal_is_refused_with_high_bits_set_too) {
  EXPECT_EQ(box.probe({"ioctl", "0x5412"}), "EPERM");       // TIOCSTI
  EXPECT_EQ(box.probe({"ioctl", "0x100005412"}), "EPERM");  // the kernel looks at 32 bits
  EXPECT_EQ(box.probe({"ioctl", "0x541c"}), "EPERM");       // TIOCLINUX
  EXPECT_EQ(box.probe({"ioctl", "0x5401"}), "ENOTTY");      // TCGETS of /dev/null
}

TEST_F(Syscalls, other_architectures_are_not_there) {
  EXPECT_THAT(box.probe({"i386"}), AnyOf("ENOSYS", "signal 11"));
  EXPECT_EQ(box.probe({"x32"}), "ENOSYS");
}

TEST_F(Syscalls, personality_can_be_asked_and_not_weakened) {
  EXPECT_EQ(box.probe({"personality", "0xffffffff"}), "ok");
  EXPECT_EQ(box.probe({"personality", "0x0040000"}), "ok");     // ADDR_NO_RANDOMIZE
  EXPECT_EQ(box.probe({"personality", "0x0400000"}), "EPERM");  // READ_IMPLIES_EXEC
}

TEST_F(Syscalls, a_crash_cannot_be_made_to_start_the_hosts_core_dump_program) {
  EXPECT_EQ(box.probe({"core-limit"}), "EPERM");
  EXPECT_EQ(box.probe({"file-limit"}), "ok");
}

TEST_F(Syscalls, saw_inits_limits_and_scheduling_are_not_the_agents_to_change) {
  EXPECT_EQ(box.probe({"limit-of", "1"}), "EPERM");
  EXPECT_EQ(box.probe({"limit-of", "0"}), "ok");
  EXPECT_EQ(box.probe({"schedule", "1"}), "EPERM");
  EXPECT_EQ(box.probe({"schedule", "0"}), "ok");
}

TEST_F(Syscalls, set_user_id_files_and_whiteouts_cannot_be_made) {
  ASSERT_EQ(box.probe({"write", "/workspace/a"}), "ok");
  EXPECT_EQ(box.probe({"chmod-to", "/workspace/a", "4755"}), "EPERM");
  EXPECT_EQ(box.probe({"chmod-to", "/workspace/a", "0755"}), "ok");
  EXPECT_EQ(box.probe({"rename-flags", "/workspace/a", "/workspace/b", "4"}), "EPERM");  // RENAME_WHITEOUT
  EXPECT_EQ(box.probe({"rename-flags", "/workspace/a", "/workspace/b", "1"}), "ok");     // RENAME_NOREPLACE
}

TEST_F(Syscalls, unknown_calls_look_like_an_old_kernel) {
  EXPECT_EQ(box.probe({"syscall", "4000"}), "ENOSYS");
  EXPECT_EQ(box.probe({"syscall", std::to_string(SYS_getpid)}), "ok");
}

TEST_F(Syscalls, no_process_has_a_capability_or_can_get_one) {
  const std::string status = box.probe({"status"});
  EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapAmb:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  const std::string me = std::to_string(rootless() ? sandbox::kAgentUid : kTestUid);
  EXPECT_EQ(box.probe({"uid"}), me + " " + me + " ok");
  EXPECT_THAT(box.probe({"setuid", "0"}), AnyOf("EPERM", "EINVAL"));
  EXPECT_EQ(box.probe({"setgroups"}), "EPERM");
}

TEST_F(Syscalls, a_setuid_program_gains_nothing) {
  EXPECT_THAT(
      box.run({"bash", "-c", "test -u /usr/bin/su && echo setuid; /usr/bin/su -c id root </dev/null 2>&1"})
          .output,
      testing::Not(HasSubstr("uid=0")));
}

TEST_F(Syscalls, a_command_inherits_only_its_own_three_descriptors) {
  const std::string pipe = "pipe:\\[[0-9]+\\]";  // not "pipe:.*", which would match further lines
  EXPECT_THAT(box.probe({"descriptors"}), MatchesRegex("0=/dev/null\n1=" + pipe + "\n2=" + pipe + "\nok"));
}

}  // namespace
}  // namespace saw::kernel_test
