#include "os/seccomp.h"

#include <algorithm>
#include <cstddef>
#include <map>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace saw::os {
namespace {

static_assert(sizeof(BpfInstruction) == sizeof(sock_filter) &&
              offsetof(BpfInstruction, value) == offsetof(sock_filter, k));

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "no seccomp architecture for this machine"
#endif
constexpr uint32_t kX32Bit = 0x40000000;
constexpr size_t kMaxConditionalJump = 255;

constexpr uint32_t answer_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::allow:
      return SECCOMP_RET_ALLOW;
    case Verdict::refuse:
      return SECCOMP_RET_ERRNO | EPERM;
    case Verdict::unknown:
      return SECCOMP_RET_ERRNO | ENOSYS;
  }
  return SECCOMP_RET_KILL_PROCESS;
}

BpfInstruction load(size_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)};
}
BpfInstruction give(Verdict verdict) {
  return {BPF_RET | BPF_K, 0, 0, answer_of(verdict)};
}

// A little-endian machine's low half of an argument. (Both supported architectures are.)
size_t argument_offset(uint8_t index) {
  return offsetof(seccomp_data, args) + 8u * index;
}

// One conjunction: falls through to after itself when it does not hold.
SeccompProgram compile_condition(const Condition& condition, Verdict verdict) {
  SeccompProgram out;
  for (size_t i = 0; i < condition.size(); ++i) {
    const ArgumentTest& test = condition[i];
    out.push_back(load(argument_offset(test.argument)));
    out.push_back({BPF_ALU | BPF_AND | BPF_K, 0, 0, test.mask});
    const size_t left = 3 * (condition.size() - i - 1) + 1;  // the tests after this one, and the answer
    SAW_CHECK(left <= kMaxConditionalJump);
    out.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, static_cast<uint8_t>(left), test.value});
  }
  out.push_back(give(verdict));
  return out;
}

SeccompProgram compile_rule(const SyscallRule& rule) {
  SeccompProgram out;
  for (const Condition& condition : rule.conditions) {
    SeccompProgram part = compile_condition(condition, rule.verdict);
    out.insert(out.end(), part.begin(), part.end());
  }
  out.push_back(give(rule.conditions.empty() ? rule.verdict : rule.otherwise));
  return out;
}

// Numbers from `first` up to the next range's.
struct Range {
  uint32_t first;
  SeccompProgram code;
  bool operator==(const Range& other) const {
    return std::ranges::equal(code, other.code, [](const BpfInstruction& a, const BpfInstruction& b) {
      return a.code == b.code && a.jump_true == b.jump_true && a.jump_false == b.jump_false &&
             a.value == b.value;
    });
  }
};

std::vector<Range> to_ranges(std::span<const SyscallRule> rules, Verdict otherwise) {
  std::map<uint32_t, const SyscallRule*> by_number;
  for (const SyscallRule& rule : rules) {
    bool fresh = by_number.emplace(static_cast<uint32_t>(rule.number), &rule).second;
    SAW_CHECK(fresh && rule.number >= 0, "two rules for system call {} ({})", rule.number, rule.name);
  }
  std::vector<Range> out;
  auto append = [&](Range range) {
    if (out.empty() || !(out.back() == range)) out.push_back(std::move(range));
  };
  uint32_t next = 0;
  for (const auto& [number, rule] : by_number) {
    if (number > next || out.empty()) {
      if (number > next) append({next, {give(otherwise)}});
    }
    append({number, compile_rule(*rule)});
    next = number + 1;
  }
  append({next, {give(otherwise)}});
  return out;
}

SeccompProgram compile_tree(std::span<const Range> ranges) {
  if (ranges.size() == 1) return ranges.front().code;
  const size_t middle = ranges.size() / 2;
  SeccompProgram low = compile_tree(ranges.first(middle)), high = compile_tree(ranges.subspan(middle)), out;
  const uint32_t pivot = ranges[middle].first;
  if (low.size() <= kMaxConditionalJump) {
    out.push_back({BPF_JMP | BPF_JGE | BPF_K, static_cast<uint8_t>(low.size()), 0, pivot});
  } else {
    out.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, 1, pivot});
    out.push_back({BPF_JMP | BPF_JA, 0, 0, static_cast<uint32_t>(low.size())});
  }
  out.insert(out.end(), low.begin(), low.end());
  out.insert(out.end(), high.begin(), high.end());
  return out;
}

}  // namespace

SeccompProgram compile_seccomp(std::span<const SyscallRule> rules, Verdict otherwise) {
  SeccompProgram out = {load(offsetof(seccomp_data, arch)),
                        {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture},
                        give(Verdict::unknown),
                        load(offsetof(seccomp_data, nr)),
                        {BPF_JMP | BPF_JGE | BPF_K, 0, 1, kX32Bit},
                        give(Verdict::unknown)};
  SeccompProgram tree = compile_tree(to_ranges(rules, otherwise));
  out.insert(out.end(), tree.begin(), tree.end());
  SAW_CHECK(out.size() <= BPF_MAXINSNS);
  return out;
}

FilterAnswer evaluate(std::span<const BpfInstruction> program, const SyscallFacts& call) {
  auto word_at = [&](uint32_t offset) -> uint32_t {
    if (offset == offsetof(seccomp_data, nr)) return static_cast<uint32_t>(call.number);
    if (offset == offsetof(seccomp_data, arch)) return call.architecture ? call.architecture : kArchitecture;
    const uint32_t index = (offset - offsetof(seccomp_data, args)) / 8;
    SAW_CHECK(index < 6);
    return static_cast<uint32_t>(call.arguments[index]);
  };
  uint32_t accumulator = 0;
  int executed = 0;
  for (size_t at = 0; at < program.size(); ++at) {
    const BpfInstruction& i = program[at];
    ++executed;
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        accumulator = word_at(i.value);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= i.value;
        break;
      case BPF_JMP | BPF_JA:
        at += i.value;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == i.value ? i.jump_true : i.jump_false;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= i.value ? i.jump_true : i.jump_false;
        break;
      case BPF_RET | BPF_K:
        for (Verdict v : {Verdict::allow, Verdict::refuse, Verdict::unknown})
          if (i.value == answer_of(v)) return {v, executed};
        [[fallthrough]];
      default:
        SAW_CHECK(false, "instruction {} has code {:#x}", at, i.code);
    }
  }
  SAW_CHECK(false, "the program runs off its end");
}

int load_seccomp(std::span<const BpfInstruction> program) noexcept {
  sock_fprog raw{};
  raw.len = static_cast<unsigned short>(program.size());
  raw.filter = reinterpret_cast<sock_filter*>(const_cast<BpfInstruction*>(program.data()));
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &raw) == 0 ? 0 : errno;
}

}  // namespace saw::os
