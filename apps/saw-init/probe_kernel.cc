// How the probes of the kernel's corners are tried (sandbox/probe_list.cc says what must come of each). Each asks for something
// that a kernel which does not refuse the caller refuses as nonsense, or that changes nothing.
#include <array>

#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/quota.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "saw-init/probes.h"

namespace saw::init {
namespace {

// The first surprise among `calls`.
struct Call {
  const char* name;
  long (*make)();
};
template <size_t n> Seen all(const Context& context, const Call (&calls)[n]) {
  return each(context, calls, [](const Call& call) { return result_of(call.make(), call.name); });
}

// landlock(7): at most sixteen rulesets are stacked. This one forbids what nobody here can do anyway.
Seen landlock(const Context&) {
  constexpr int kMostLayers = 16;
  const uint64_t make_devices = 1 << 6;
  const Fd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &make_devices, sizeof make_devices, 0)));
  if (!ruleset) return refused(errno, "no ruleset can be made");
  for (int i = 0; i < kMostLayers; ++i)
    if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
      return refused(errno, std::to_string(i) + " layers more");
  return done("sixteen layers more");
}

Seen keys(const Context& context) {
  return all(
      context,
      {{"keyctl", [] { return ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0); }},
       {"add_key", [] { return ::syscall(SYS_add_key, nullptr, nullptr, nullptr, 0, 0); }},
       {"request_key", [] { return ::syscall(SYS_request_key, nullptr, nullptr, nullptr, 0); }}});
}

Seen modules(const Context& context) {
  return all(context, {{"init_module", [] { return ::syscall(SYS_init_module, nullptr, 0, ""); }},
                       {"finit_module", [] { return ::syscall(SYS_finit_module, -1, "", 0); }},
                       {"delete_module",
                        [] { return ::syscall(SYS_delete_module, "saw-no-such-module", O_NONBLOCK); }}});
}

Seen kexec(const Context& context) {
  return all(context,
             {{"kexec_load", [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0xffffUL); }},
              {"kexec_file_load", [] { return ::syscall(SYS_kexec_file_load, -1, -1, 0, nullptr, ~0UL); }}});
}

Seen swap(const Context& context) {
  return all(context, {{"swapon", [] { return ::syscall(SYS_swapon, fresh_name("/tmp").c_str(), 0); }},
                       {"swapoff", [] { return ::syscall(SYS_swapoff, fresh_name("/tmp").c_str()); }}});
}

Seen clock(const Context& context) {
  return all(context,
             {{"settimeofday", [] { return ::syscall(SYS_settimeofday, nullptr, nullptr); }},
              {"clock_settime", [] { return ::syscall(SYS_clock_settime, CLOCK_REALTIME, nullptr); }},
              {"adjtimex", []() -> long {
                 timex nothing{};
                 return ::syscall(SYS_adjtimex, &nothing);
               }}});
}

#if defined(__x86_64__)
Seen ports(const Context& context) {
  return all(context, {{"ioperm", [] { return ::syscall(SYS_ioperm, 0x80, 1, 0); }},
                       {"iopl", [] { return ::syscall(SYS_iopl, 0); }},
                       {"modify_ldt", [] { return ::syscall(SYS_modify_ldt, 0, nullptr, 0); }}});
}

Seen i386(const Context&) {
  constexpr long kGetPid = 20;
  long result = 0;
  asm volatile("int $0x80" : "=a"(result) : "a"(kGetPid) : "memory", "r8", "r9", "r10", "r11");
  return result < 0 ? refused(static_cast<int>(-result)) : done();
}
#endif

Seen control_terminal(unsigned long request) {
  char byte = 'x';
  return result_of(::syscall(SYS_ioctl, STDIN_FILENO, request, &byte));
}

constexpr unsigned long kUpperHalf = 1UL << 32;
[[maybe_unused]] constexpr long kX32 = 0x40000000;
constexpr int kLogBufferSize = 10;  // SYSLOG_ACTION_SIZE_BUFFER

constexpr Attempt kAttempts[] = {
    {"kernel.landlock", landlock, Attempt::Leaves::changed},
    {"kernel.io_uring", [](const Context&) { return result_of(::syscall(SYS_io_uring_setup, 0, nullptr)); }},
    {"kernel.bpf", [](const Context&) { return result_of(::syscall(SYS_bpf, -1, nullptr, 0)); }},
    {"kernel.page_faults", [](const Context&) { return result_of(::syscall(SYS_userfaultfd, -1)); }},
    {"kernel.keys", keys},
    {"kernel.perf",
     [](const Context&) { return result_of(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0)); }},
    {"kernel.modules", modules},
    {"kernel.kexec", kexec},
    {"kernel.reboot", [](const Context&) { return result_of(::syscall(SYS_reboot, 0, 0, 0, nullptr)); }},
    {"kernel.swap", swap},
    {"kernel.accounting",
     [](const Context&) { return result_of(::syscall(SYS_acct, fresh_name("/tmp").c_str())); }},
    {"kernel.clock", clock},
    {"kernel.quota",
     [](const Context&) {
       return result_of(::syscall(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), nullptr, 0, nullptr));
     }},
    {"kernel.log",
     [](const Context&) { return result_of(::syscall(SYS_syslog, kLogBufferSize, nullptr, 0)); }},
    {"kernel.file_events",
     [](const Context& c) {
       return all(c, {{"fanotify_init", [] { return ::syscall(SYS_fanotify_init, 0, 0); }},
                      {"fanotify_mark", [] { return ::syscall(SYS_fanotify_mark, -1, 0, 0, -1, ""); }}});
     }},
    {"kernel.personality", [](const Context&) { return result_of(::personality(READ_IMPLIES_EXEC)); }},
#if defined(__x86_64__)
    {"kernel.ports", ports},
    {"kernel.i386", i386},
    {"kernel.x32", [](const Context&) { return result_of(::syscall(kX32 + SYS_getpid)); }},
#endif
    {"kernel.unknown",
     [](const Context&) { return result_of(::syscall(SYS_remap_file_pages, 0, 0, 0, 0, 0)); }},
    {"terminal.type_ahead", [](const Context&) { return control_terminal(TIOCSTI); }},
    {"terminal.type_ahead_wide", [](const Context&) { return control_terminal(TIOCSTI | kUpperHalf); }},
    {"terminal.console", [](const Context&) { return control_terminal(TIOCLINUX); }},
    {"terminal.discipline", [](const Context&) { return control_terminal(TIOCSETD); }},
};

}  // namespace

std::span<const Attempt> kernel_attempts() {
  return kAttempts;
}

}  // namespace saw::init
