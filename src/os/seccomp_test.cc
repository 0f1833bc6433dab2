#include "os/seccomp.h"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "os/sandbox_syscalls.h"

namespace saw::os {
namespace {

constexpr int kHighestNumber = 1024;

Verdict ask(const SeccompProgram& program, int number, uint64_t first = 0, uint64_t second = 0,
            uint64_t third = 0) {
  return evaluate(program, {.number = number, .arguments = {first, second, third}}).verdict;
}

// The specification of compile_seccomp, written the slow way.
Verdict expected(const std::vector<SyscallRule>& rules, Verdict otherwise, const SyscallFacts& call) {
  for (const SyscallRule& rule : rules) {
    if (rule.number != call.number) continue;
    if (rule.conditions.empty()) return rule.verdict;
    for (const Condition& condition : rule.conditions) {
      bool all = true;
      for (const ArgumentTest& test : condition)
        all &= (static_cast<uint32_t>(call.arguments[test.argument]) & test.mask) == test.value;
      if (all) return rule.verdict;
    }
    return rule.otherwise;
  }
  return otherwise;
}

TEST(Seccomp, the_compiled_tree_answers_what_the_rules_say_for_every_number) {
  const std::vector<SyscallRule> rules = sandbox_syscalls();
  const SeccompProgram program = compile_seccomp(rules, Verdict::unknown);
  for (int number = 0; number < kHighestNumber; ++number)
    for (uint64_t first :
         {0ull, 1ull, 2ull, 16ull, 17ull, 0x5412ull, 0x100005412ull, 0x10000000ull, 0xffffffffull})
      for (uint64_t second : {0ull, 1ull, 3ull, 0x5412ull, 0x80001ull, 0120000ull}) {
        const SyscallFacts call{.number = number, .arguments = {first, second, 0}};
        ASSERT_EQ(evaluate(program, call).verdict, expected(rules, Verdict::unknown, call))
            << number << " " << first << " " << second;
      }
}

TEST(Seccomp, a_call_of_another_architecture_is_unknown_whatever_its_number) {
  const SeccompProgram program = compile_seccomp(sandbox_syscalls(), Verdict::unknown);
  EXPECT_EQ(evaluate(program, {.architecture = 0x40000003, .number = SYS_read}).verdict,
            Verdict::unknown);                                       // AUDIT_ARCH_I386
  EXPECT_EQ(ask(program, 0x40000000 + SYS_read), Verdict::unknown);  // x32
  EXPECT_EQ(ask(program, -1), Verdict::unknown);
  EXPECT_EQ(ask(program, SYS_read), Verdict::allow);
}

TEST(Seccomp, high_bits_of_an_argument_hide_nothing) {
  const SeccompProgram program = compile_seccomp(sandbox_syscalls(), Verdict::unknown);
  EXPECT_EQ(ask(program, SYS_ioctl, 0, 0x5412), Verdict::refuse);
  EXPECT_EQ(ask(program, SYS_ioctl, 0, 0xdead00005412), Verdict::refuse);
  EXPECT_EQ(ask(program, SYS_ioctl, 0, 0x5413), Verdict::allow);
  EXPECT_EQ(ask(program, SYS_clone, 0x100000000ull | 0x10000000), Verdict::refuse);
  EXPECT_EQ(ask(program, SYS_clone, 17), Verdict::allow);
}

TEST(Seccomp, the_tree_is_shallow) {
  const SeccompProgram program = compile_seccomp(sandbox_syscalls(), Verdict::unknown);
  int most = 0;
  for (int number = 0; number < kHighestNumber; ++number)
    if (number != SYS_socket)
      most = std::max(most, evaluate(program, {.number = number, .arguments = {1, 1}}).instructions);
  EXPECT_LE(most, 32) << "instructions for the dearest call";
}

std::string_view name(Verdict verdict) {
  constexpr std::string_view kNames[] = {"allow", "refuse", "unknown"};
  return kNames[static_cast<int>(verdict)];
}

// The reviewed list, as the filter sees it. Rewrite the file with SAW_ACCEPT=1 after a review.
TEST(Seccomp, the_reviewed_list_is_what_the_golden_file_says) {
  std::string text;
  std::vector<SyscallRule> rules = sandbox_syscalls();
  std::ranges::sort(rules, {}, &SyscallRule::number);
  for (const SyscallRule& rule : rules) {
    text += fmt::format("{} {} {}", rule.number, rule.name, name(rule.verdict));
    for (const Condition& condition : rule.conditions) {
      text += " [";
      for (const ArgumentTest& test : condition)
        text += fmt::format(" a{}&{:x}={:x}", test.argument, test.mask, test.value);
      text += " ]";
    }
    if (!rule.conditions.empty()) text += fmt::format(" else {}", name(rule.otherwise));
    text += "\n";
  }
  const std::string path = SAW_SOURCE_DIR "/tests/golden/plan/sandbox_syscalls.txt";
  if (::getenv("SAW_ACCEPT")) ASSERT_TRUE(replace_file(path, text, 0644, Durability::none));
  auto golden = read_file(path);
  ASSERT_TRUE(golden);
  EXPECT_EQ(text, *golden);
}

}  // namespace
}  // namespace saw::os
