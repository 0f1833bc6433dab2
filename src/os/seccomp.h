// System call filters: a list of rules compiled to a decision tree of classic BPF, and loaded.
//
//   std::vector<SyscallRule> rules = sandbox_syscalls();              // sandbox_syscalls.h: the reviewed
//   list SeccompProgram program = compile_seccomp(rules, Verdict::unknown); int error =
//   load_seccomp(program.view());                          // needs no_new_privs; allocates nothing
//
// Arguments are compared in their low 32 bits, because the kernel itself reads `int` and `unsigned` arguments
// so: a filter that looks at all 64 bits is bypassed by setting a high one (CVE-2019-10063). That, and a tree
// that keeps cost at ~9 instructions a call, is why the filter is compiled here and not by libseccomp. Calls
// of another architecture (i386 by int 0x80, x32) are answered ENOSYS. Source:
// Documentation/userspace-api/seccomp_filter.rst.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace saw::os {

enum class Verdict : uint8_t {
  allow,
  refuse,   // EPERM: known, and not for this program
  unknown,  // ENOSYS: as if this kernel did not have it, so that C libraries fall back
};

// (argument & mask) == value, in the low 32 bits.
struct ArgumentTest {
  uint8_t argument = 0;  // 0…5
  uint32_t mask = ~0u, value = 0;
};
using Condition = std::vector<ArgumentTest>;  // all of them

struct SyscallRule {
  std::string_view name;
  int number = -1;
  Verdict verdict = Verdict::allow;  // when one of `conditions` holds, or always when there are none
  std::vector<Condition> conditions;
  Verdict otherwise = Verdict::refuse;
};

// One instruction, laid out as struct sock_filter.
struct BpfInstruction {
  uint16_t code = 0;
  uint8_t jump_true = 0, jump_false = 0;
  uint32_t value = 0;
};

using SeccompProgram = std::vector<BpfInstruction>;

// Two rules for one number are a bug. `otherwise`: for every number without a rule.
SeccompProgram compile_seccomp(std::span<const SyscallRule> rules, Verdict otherwise);

// What the program answers, computed in user space: for tests and for printing. nullopt: not a valid program.
struct SyscallFacts {
  uint32_t architecture = 0;  // 0: this one
  int number = 0;
  uint64_t arguments[6] = {};
};
struct FilterAnswer {
  Verdict verdict;
  int instructions;  // executed
};
FilterAnswer evaluate(std::span<const BpfInstruction> program, const SyscallFacts& call);

// 0 or errno. For every thread of the process. Between clone and exec too.
int load_seccomp(std::span<const BpfInstruction> program) noexcept;

}  // namespace saw::os
