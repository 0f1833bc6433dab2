#include "os/sandbox_syscalls.h"

#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

// Numbers that are newer than the build's headers; the table is the same for all 64-bit architectures from
// 424 on.
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453
#endif
#ifndef __NR_futex_wake
#define __NR_futex_wake 454
#define __NR_futex_wait 455
#define __NR_futex_requeue 456
#endif

namespace saw::os {
namespace {

#define SAW_CALL(call)                   \
  SyscallRule {                          \
    .name = #call, .number = __NR_##call \
  }

std::vector<SyscallRule> files() {
  return {
      SAW_CALL(read),
      SAW_CALL(write),
      SAW_CALL(open),
      SAW_CALL(close),
      SAW_CALL(stat),
      SAW_CALL(fstat),
      SAW_CALL(lstat),
      SAW_CALL(poll),
      SAW_CALL(lseek),
      SAW_CALL(pread64),
      SAW_CALL(pwrite64),
      SAW_CALL(readv),
      SAW_CALL(writev),
      SAW_CALL(access),
      SAW_CALL(pipe),
      SAW_CALL(select),
      SAW_CALL(dup),
      SAW_CALL(dup2),
      SAW_CALL(dup3),
      SAW_CALL(sendfile),
      SAW_CALL(fcntl),
      SAW_CALL(flock),
      SAW_CALL(fsync),
      SAW_CALL(fdatasync),
      SAW_CALL(truncate),
      SAW_CALL(ftruncate),
      SAW_CALL(getdents),
      SAW_CALL(getdents64),
      SAW_CALL(getcwd),
      SAW_CALL(chdir),
      SAW_CALL(fchdir),
      SAW_CALL(rename),
      SAW_CALL(mkdir),
      SAW_CALL(rmdir),
      SAW_CALL(creat),
      SAW_CALL(link),
      SAW_CALL(unlink),
      SAW_CALL(symlink),
      SAW_CALL(readlink),
      SAW_CALL(chown),
      SAW_CALL(fchown),
      SAW_CALL(lchown),
      SAW_CALL(umask),
      SAW_CALL(utime),
      SAW_CALL(utimes),
      SAW_CALL(futimesat),
      SAW_CALL(utimensat),
      SAW_CALL(statfs),
      SAW_CALL(fstatfs),
      SAW_CALL(sync),
      SAW_CALL(syncfs),
      SAW_CALL(sync_file_range),
      SAW_CALL(readahead),
      SAW_CALL(setxattr),
      SAW_CALL(lsetxattr),
      SAW_CALL(fsetxattr),
      SAW_CALL(getxattr),
      SAW_CALL(lgetxattr),
      SAW_CALL(fgetxattr),
      SAW_CALL(listxattr),
      SAW_CALL(llistxattr),
      SAW_CALL(flistxattr),
      SAW_CALL(removexattr),
      SAW_CALL(lremovexattr),
      SAW_CALL(fremovexattr),
      SAW_CALL(openat),
      SAW_CALL(openat2),
      SAW_CALL(mkdirat),
      SAW_CALL(fchownat),
      SAW_CALL(newfstatat),
      SAW_CALL(unlinkat),
      SAW_CALL(renameat),
      SAW_CALL(linkat),
      SAW_CALL(symlinkat),
      SAW_CALL(readlinkat),
      SAW_CALL(faccessat),
      SAW_CALL(faccessat2),
      SAW_CALL(statx),
      SAW_CALL(pselect6),
      SAW_CALL(ppoll),
      SAW_CALL(splice),
      SAW_CALL(tee),
      SAW_CALL(vmsplice),
      SAW_CALL(pipe2),
      SAW_CALL(preadv),
      SAW_CALL(pwritev),
      SAW_CALL(preadv2),
      SAW_CALL(pwritev2),
      SAW_CALL(fallocate),
      SAW_CALL(fadvise64),
      SAW_CALL(copy_file_range),
      SAW_CALL(close_range),
      SAW_CALL(inotify_init),
      SAW_CALL(inotify_init1),
      SAW_CALL(inotify_add_watch),
      SAW_CALL(inotify_rm_watch),
      SAW_CALL(epoll_create),
      SAW_CALL(epoll_create1),
      SAW_CALL(epoll_ctl),
      SAW_CALL(epoll_wait),
      SAW_CALL(epoll_pwait),
      SAW_CALL(epoll_pwait2),
      SAW_CALL(eventfd),
      SAW_CALL(eventfd2),
      SAW_CALL(signalfd),
      SAW_CALL(signalfd4),
      SAW_CALL(timerfd_create),
      SAW_CALL(timerfd_settime),
      SAW_CALL(timerfd_gettime),
      SAW_CALL(memfd_create),
      SAW_CALL(io_setup),
      SAW_CALL(io_destroy),
      SAW_CALL(io_getevents),
      SAW_CALL(io_submit),
      SAW_CALL(io_cancel),
      SAW_CALL(io_pgetevents),
      SAW_CALL(cachestat),
  };
}

std::vector<SyscallRule> memory_and_time() {
  return {
      SAW_CALL(mmap),
      SAW_CALL(mprotect),
      SAW_CALL(munmap),
      SAW_CALL(brk),
      SAW_CALL(mremap),
      SAW_CALL(msync),
      SAW_CALL(mincore),
      SAW_CALL(madvise),
      SAW_CALL(mlock),
      SAW_CALL(mlock2),
      SAW_CALL(munlock),
      SAW_CALL(mlockall),
      SAW_CALL(munlockall),
      SAW_CALL(membarrier),
      SAW_CALL(pkey_mprotect),
      SAW_CALL(pkey_alloc),
      SAW_CALL(pkey_free),
      SAW_CALL(get_mempolicy),
      SAW_CALL(mbind),
      SAW_CALL(set_mempolicy),
      SAW_CALL(map_shadow_stack),
      SAW_CALL(rseq),
      SAW_CALL(nanosleep),
      SAW_CALL(clock_nanosleep),
      SAW_CALL(clock_gettime),
      SAW_CALL(clock_getres),
      SAW_CALL(gettimeofday),
      SAW_CALL(time),
      SAW_CALL(times),
      SAW_CALL(getitimer),
      SAW_CALL(setitimer),
      SAW_CALL(alarm),
      SAW_CALL(timer_create),
      SAW_CALL(timer_settime),
      SAW_CALL(timer_gettime),
      SAW_CALL(timer_getoverrun),
      SAW_CALL(timer_delete),
      SAW_CALL(shmget),
      SAW_CALL(shmat),
      SAW_CALL(shmctl),
      SAW_CALL(shmdt),
      SAW_CALL(semget),
      SAW_CALL(semop),
      SAW_CALL(semctl),
      SAW_CALL(semtimedop),
      SAW_CALL(msgget),
      SAW_CALL(msgsnd),
      SAW_CALL(msgrcv),
      SAW_CALL(msgctl),
      SAW_CALL(mq_open),
      SAW_CALL(mq_unlink),
      SAW_CALL(mq_timedsend),
      SAW_CALL(mq_timedreceive),
      SAW_CALL(mq_notify),
      SAW_CALL(mq_getsetattr),
      SAW_CALL(futex),
      SAW_CALL(futex_waitv),
      SAW_CALL(futex_wake),
      SAW_CALL(futex_wait),
      SAW_CALL(futex_requeue),
      SAW_CALL(set_robust_list),
      SAW_CALL(get_robust_list),
      SAW_CALL(getrandom),
      SAW_CALL(arch_prctl),
  };
}

std::vector<SyscallRule> processes() {
  return {
      SAW_CALL(rt_sigaction),
      SAW_CALL(rt_sigprocmask),
      SAW_CALL(rt_sigreturn),
      SAW_CALL(rt_sigpending),
      SAW_CALL(rt_sigtimedwait),
      SAW_CALL(rt_sigqueueinfo),
      SAW_CALL(rt_tgsigqueueinfo),
      SAW_CALL(rt_sigsuspend),
      SAW_CALL(sigaltstack),
      SAW_CALL(pause),
      SAW_CALL(restart_syscall),
      SAW_CALL(sched_yield),
      SAW_CALL(getpid),
      SAW_CALL(gettid),
      SAW_CALL(getppid),
      SAW_CALL(fork),
      SAW_CALL(vfork),
      SAW_CALL(execve),
      SAW_CALL(execveat),
      SAW_CALL(exit),
      SAW_CALL(exit_group),
      SAW_CALL(wait4),
      SAW_CALL(waitid),
      SAW_CALL(kill),
      SAW_CALL(tkill),
      SAW_CALL(tgkill),
      SAW_CALL(uname),
      SAW_CALL(sysinfo),
      SAW_CALL(getrlimit),
      SAW_CALL(getrusage),
      SAW_CALL(getpriority),
      SAW_CALL(setpriority),
      SAW_CALL(set_tid_address),
      SAW_CALL(getuid),
      SAW_CALL(geteuid),
      SAW_CALL(getgid),
      SAW_CALL(getegid),
      SAW_CALL(getresuid),
      SAW_CALL(getresgid),
      SAW_CALL(getgroups),
      SAW_CALL(setuid),
      SAW_CALL(setgid),
      SAW_CALL(setreuid),
      SAW_CALL(setregid),
      SAW_CALL(setresuid),
      SAW_CALL(setresgid),
      SAW_CALL(setgroups),
      SAW_CALL(setfsuid),
      SAW_CALL(setfsgid),
      SAW_CALL(setpgid),
      SAW_CALL(getpgid),
      SAW_CALL(getpgrp),
      SAW_CALL(setsid),
      SAW_CALL(getsid),
      SAW_CALL(capget),
      SAW_CALL(capset),
      SAW_CALL(sched_getparam),
      SAW_CALL(sched_getscheduler),
      SAW_CALL(sched_get_priority_max),
      SAW_CALL(sched_get_priority_min),
      SAW_CALL(sched_rr_get_interval),
      SAW_CALL(sched_getaffinity),
      SAW_CALL(sched_getattr),
      SAW_CALL(ioprio_get),
      SAW_CALL(ioprio_set),
      SAW_CALL(getcpu),
      SAW_CALL(pidfd_open),
      SAW_CALL(pidfd_send_signal),
      SAW_CALL(seccomp),
      // A sandboxed program may sandbox itself further: Landlock only ever takes away.
      SAW_CALL(landlock_create_ruleset),
      SAW_CALL(landlock_add_rule),
      SAW_CALL(landlock_restrict_self),
  };
}

std::vector<SyscallRule> sockets() {
  return {
      SAW_CALL(connect),     SAW_CALL(accept),      SAW_CALL(accept4),    SAW_CALL(sendto),
      SAW_CALL(recvfrom),    SAW_CALL(sendmsg),     SAW_CALL(recvmsg),    SAW_CALL(sendmmsg),
      SAW_CALL(recvmmsg),    SAW_CALL(shutdown),    SAW_CALL(bind),       SAW_CALL(listen),
      SAW_CALL(getsockname), SAW_CALL(getpeername), SAW_CALL(getsockopt),
  };
}

// Known ways to more power or to the kernel's least tested corners. EPERM, so that a program says why it
// failed.
std::vector<SyscallRule> refused() {
  std::vector<SyscallRule> out = {
      SAW_CALL(mount),
      SAW_CALL(umount2),
      SAW_CALL(pivot_root),
      SAW_CALL(chroot),
      SAW_CALL(open_tree),
      SAW_CALL(move_mount),
      SAW_CALL(fsopen),
      SAW_CALL(fsconfig),
      SAW_CALL(fsmount),
      SAW_CALL(fspick),
      SAW_CALL(mount_setattr),
      SAW_CALL(setns),
      SAW_CALL(unshare),
      SAW_CALL(bpf),
      SAW_CALL(perf_event_open),
      SAW_CALL(io_uring_setup),
      SAW_CALL(io_uring_enter),
      SAW_CALL(io_uring_register),
      SAW_CALL(userfaultfd),
      SAW_CALL(add_key),
      SAW_CALL(request_key),
      SAW_CALL(keyctl),
      SAW_CALL(ptrace),
      SAW_CALL(process_vm_readv),
      SAW_CALL(process_vm_writev),
      SAW_CALL(process_madvise),
      SAW_CALL(kcmp),
      SAW_CALL(pidfd_getfd),
      SAW_CALL(kexec_load),
      SAW_CALL(kexec_file_load),
      SAW_CALL(init_module),
      SAW_CALL(finit_module),
      SAW_CALL(delete_module),
      SAW_CALL(open_by_handle_at),
      SAW_CALL(name_to_handle_at),
      SAW_CALL(fanotify_init),
      SAW_CALL(fanotify_mark),
      SAW_CALL(quotactl),
      SAW_CALL(quotactl_fd),
      SAW_CALL(acct),
      SAW_CALL(swapon),
      SAW_CALL(swapoff),
      SAW_CALL(reboot),
      SAW_CALL(sethostname),
      SAW_CALL(setdomainname),
      SAW_CALL(settimeofday),
      SAW_CALL(clock_settime),
      SAW_CALL(clock_adjtime),
      SAW_CALL(adjtimex),
      SAW_CALL(syslog),
      SAW_CALL(vhangup),
      SAW_CALL(move_pages),
      SAW_CALL(migrate_pages),
      SAW_CALL(lookup_dcookie),
#if defined(__x86_64__)
      SAW_CALL(iopl),
      SAW_CALL(ioperm),
      SAW_CALL(modify_ldt),
#endif
  };
  for (SyscallRule& rule : out) rule.verdict = Verdict::refuse;
  return out;
}

SyscallRule matching(SyscallRule rule, std::vector<Condition> conditions) {
  rule.conditions = std::move(conditions);
  return rule;
}

SyscallRule but_not(SyscallRule rule, std::vector<Condition> conditions) {
  rule.verdict = Verdict::refuse;
  rule.otherwise = Verdict::allow;
  return matching(std::move(rule), std::move(conditions));
}

std::vector<SyscallRule> sockets_by_argument() {
  constexpr uint32_t kTypeMask = 0xf;  // without SOCK_CLOEXEC and SOCK_NONBLOCK
  auto socket_of = [](uint32_t family, uint32_t type, uint32_t protocol) -> Condition {
    return {{0, ~0u, family}, {1, kTypeMask, type}, {2, ~0u, protocol}};
  };
  std::vector<Condition> socket_kinds;
  for (uint32_t type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
    socket_kinds.push_back({{0, ~0u, AF_UNIX}, {1, kTypeMask, type}});
  for (uint32_t family : {AF_INET, AF_INET6})
    for (uint32_t protocol : {0, 6}) socket_kinds.push_back(socket_of(family, SOCK_STREAM, protocol));
  for (uint32_t family : {AF_INET, AF_INET6})
    for (uint32_t protocol : {0, 17}) socket_kinds.push_back(socket_of(family, SOCK_DGRAM, protocol));
  // getaddrinfo and getifaddrs list addresses by NETLINK_ROUTE (0). Changing anything needs a capability that
  // nobody here has.
  for (uint32_t type : {SOCK_RAW, SOCK_DGRAM}) socket_kinds.push_back(socket_of(AF_NETLINK, type, 0));
  // Other protocols on top of TCP (TLS in the kernel, …): attack surface, and libraries do without.
  constexpr uint32_t kSolTcp = 6, kTcpUlp = 31;
  return {matching(SAW_CALL(socket), std::move(socket_kinds)),
          matching(SAW_CALL(socketpair), {{{0, ~0u, AF_UNIX}}}),
          but_not(SAW_CALL(setsockopt), {{{1, ~0u, kSolTcp}, {2, ~0u, kTcpUlp}}})};
}

std::vector<SyscallRule> processes_by_argument() {
  constexpr uint32_t kNewNamespace = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  std::vector<SyscallRule> out;
  out.push_back(matching(SAW_CALL(clone), {{{0, kNewNamespace, 0}}}));
  // Its flags lie in memory, where a filter cannot look. C libraries then use clone.
  out.push_back({.name = "clone3", .number = __NR_clone3, .verdict = Verdict::unknown});
  // 0xffffffff asks; ADDR_NO_RANDOMIZE is what debuggers and some build tools set.
  out.push_back(
      matching(SAW_CALL(personality), {{{0, ~0u, 0}}, {{0, ~0u, ~0u}}, {{0, ~0u, ADDR_NO_RANDOMIZE}}}));
  // Nothing that a program needs, and a way to look like another one or to be traced.
  out.push_back(but_not(SAW_CALL(prctl), {{{0, ~0u, PR_SET_PTRACER}},
                                          {{0, ~0u, PR_SET_MM}},
                                          {{0, ~0u, PR_SET_SECUREBITS}},
                                          {{0, ~0u, PR_SET_TSC}}}));
  // The core limit stays as it was set: 0 instead of 1 would let a crash start the host's core_pattern
  // program, outside and as root. Process 1 is saw-init, which has the agent's uid: its limits and its
  // scheduling would be the agent's to change.
  out.push_back(but_not(SAW_CALL(setrlimit), {{{0, ~0u, RLIMIT_CORE}}}));
  out.push_back(but_not(SAW_CALL(prlimit64), {{{1, ~0u, RLIMIT_CORE}}, {{0, ~0u, 1}}}));
  for (const SyscallRule& rule : {SAW_CALL(sched_setparam), SAW_CALL(sched_setscheduler),
                                  SAW_CALL(sched_setaffinity), SAW_CALL(sched_setattr)})
    out.push_back(but_not(rule, {{{0, ~0u, 1}}}));
  return out;
}

std::vector<SyscallRule> files_by_argument() {
  std::vector<SyscallRule> out;
  // TIOCSTI and TIOCLINUX type into the terminal's reader; TIOCSETD, TIOCCONS and kernel line disciplines are
  // attack surface only.
  out.push_back(
      but_not(SAW_CALL(ioctl),
              {{{1, ~0u, TIOCSTI}}, {{1, ~0u, TIOCLINUX}}, {{1, ~0u, TIOCSETD}}, {{1, ~0u, TIOCCONS}}}));
  // A directory may be shared with the host, where the agent's set-user-ID file would lend its uid, rootless
  // the user's own, to whoever runs it. (What open() makes so is empty, and writing takes the bit away.)
  for (auto [rule, argument] :
       {std::pair{SAW_CALL(chmod), uint8_t{1}}, std::pair{SAW_CALL(fchmod), uint8_t{1}},
        std::pair{SAW_CALL(fchmodat), uint8_t{2}}, std::pair{SAW_CALL(fchmodat2), uint8_t{2}}})
    out.push_back(but_not(rule, {{{argument, S_ISUID, S_ISUID}}}));
  // A whiteout made in the workspace would hide a file from its sessions and from the lists of changes.
  constexpr uint32_t kRenameWhiteout = 1 << 2;
  out.push_back(but_not(SAW_CALL(renameat2), {{{4, kRenameWhiteout, kRenameWhiteout}}}));
  // Device nodes need a capability; FIFOs, sockets and plain files may be made this way.
  constexpr uint32_t kTypeBits = 0170000;
  for (auto [rule, argument] :
       {std::pair{SAW_CALL(mknod), uint8_t{1}}, std::pair{SAW_CALL(mknodat), uint8_t{2}}})
    out.push_back(matching(rule, {{{argument, kTypeBits, 0}},
                                  {{argument, kTypeBits, 0100000}},
                                  {{argument, kTypeBits, 0010000}},
                                  {{argument, kTypeBits, 0140000}}}));
  return out;
}

}  // namespace

std::vector<SyscallRule> sandbox_syscalls() {
  std::vector<SyscallRule> out;
  for (auto part : {files(), memory_and_time(), processes(), sockets(), refused(), sockets_by_argument(),
                    processes_by_argument(), files_by_argument()})
    out.insert(out.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
  return out;
}

}  // namespace saw::os
