// How the probes of processes, privilege and limits are tried (sandbox/probe_list.cc says what must come of each).
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "saw-init/probes.h"

namespace saw::init {
namespace {

constexpr pid_t kInit = 1;
constexpr int kSeccompFilter = 2;
constexpr int kCapabilitySlots = 64;
constexpr rlim_t kNoCore = 1;      // os/process.h
constexpr gid_t kUnnamed = 65534;  // rootless: a group of the user's that this namespace has no name for

Seen equals(uint64_t is, uint64_t must_be, const char* what) {
  if (is == must_be) return done();
  return differs(std::string(what) + " is " + std::to_string(is) + ", not " + std::to_string(must_be));
}

Seen nobody_else(const Context&) {
  DIR* directory = ::opendir("/proc");
  if (!directory) return refused(errno);
  Seen seen = done();
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size())
      continue;
    if (pid != kInit && pid != ::getpid()) seen = differs("process " + std::to_string(pid));
  }
  ::closedir(directory);
  return seen;
}

Seen wait_for(pid_t child) {
  if (child < 0) return refused(errno);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return {sandbox::Ending::killed, WTERMSIG(status), ""};
  return WEXITSTATUS(status) == 0 ? done() : refused(WEXITSTATUS(status));
}

// The smallest program: it exits with 0. The one that every sandbox can have, whatever its image.
struct Program {
  Elf64_Ehdr header;
  Elf64_Phdr segment;
  unsigned char code[16];
};
Program smallest_program() {
  constexpr uint64_t kAddress = 0x400000;
#if defined(__x86_64__)
  constexpr uint16_t kMachine = EM_X86_64;
  constexpr unsigned char kCode[] = {0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05};  // exit(0)
#elif defined(__aarch64__)
  constexpr uint16_t kMachine = EM_AARCH64;
  constexpr unsigned char kCode[] = {0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4};  // exit(0)
#endif
  Program out{};
  out.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                .e_type = ET_EXEC,
                .e_machine = kMachine,
                .e_version = EV_CURRENT,
                .e_entry = kAddress + offsetof(Program, code),
                .e_phoff = offsetof(Program, segment),
                .e_ehsize = sizeof out.header,
                .e_phentsize = sizeof out.segment,
                .e_phnum = 1};
  out.segment = {.p_type = PT_LOAD,
                 .p_flags = PF_R | PF_X,
                 .p_vaddr = kAddress,
                 .p_filesz = sizeof out,
                 .p_memsz = sizeof out,
                 .p_align = 0x1000};
  std::memcpy(out.code, kCode, sizeof kCode);
  return out;
}

Seen execute(const Context&) {
  const std::string name = fresh_name("/tmp");
  const Program program = smallest_program();
  {
    const Fd file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700));
    if (!file || ::write(file.get(), &program, sizeof program) != sizeof program) {
      const int error = errno;
      ::unlink(name.c_str());
      return refused(error, "/tmp");
    }
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const char* const arguments[] = {name.c_str(), nullptr};
    const char* const environment[] = {nullptr};
    ::execve(name.c_str(), const_cast<char**>(arguments), const_cast<char**>(environment));
    ::_exit(errno & 0x7f);
  }
  const Seen seen = wait_for(child);
  ::unlink(name.c_str());
  return seen;
}

Seen capabilities(const Context&) {
  for (int i = 0; i < kCapabilitySlots; ++i) {
    const int bounding = ::prctl(PR_CAPBSET_READ, i, 0, 0, 0);
    if (bounding < 0) break;  // the kernel has no more
    if (bounding != 0) return differs("bounding set has " + std::to_string(i));
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) != 0)
      return differs("ambient set has " + std::to_string(i));
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return refused(errno);
  for (const auto& set : sets)
    if (set.effective || set.permitted || set.inheritable)
      return differs("a set has " + std::to_string(set.permitted));
  return done();
}

Seen raise(const Context&) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  sets[0] = {.effective = 1u << CAP_SYS_ADMIN, .permitted = 1u << CAP_SYS_ADMIN, .inheritable = 0};
  return result_of(::syscall(SYS_capset, &header, sets));
}

Seen identity(const Context& context) {
  constexpr int kMaxGroups = 256;
  uid_t u[3];
  gid_t g[3], groups[kMaxGroups];
  if (::getresuid(&u[0], &u[1], &u[2]) != 0 || ::getresgid(&g[0], &g[1], &g[2]) != 0) return refused(errno);
  for (const uid_t uid : u)
    if (Seen seen = equals(uid, context.subject.uid, "a uid"); seen.ending != sandbox::Ending::done)
      return seen;
  for (const gid_t gid : g)
    if (Seen seen = equals(gid, context.subject.gid, "a gid"); seen.ending != sandbox::Ending::done)
      return seen;
  const int count = ::getgroups(kMaxGroups, groups);
  if (count < 0) return refused(errno);
  for (int i = 0; i < count; ++i)
    if (groups[i] != context.subject.gid && groups[i] != kUnnamed)
      return differs("a member of group " + std::to_string(groups[i]));
  return done();
}

Seen become_root(const Context& context) {
  const Seen seen = result_of(::setgid(0), "gid");
  return context.expects(seen) ? result_of(::setuid(0), "uid") : seen;
}

Seen take_descriptor(const Context&) {
  constexpr int kControl = 3;
  const Fd init(static_cast<int>(::syscall(SYS_pidfd_open, kInit, 0)));
  return result_of(::syscall(SYS_pidfd_getfd, init.get(), kControl, 0));
}

Seen clone_namespace(const Context&) {
  const long child = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) ::_exit(0);
  return child < 0 ? refused(errno) : done();
}

// What is mounted where the guard is missing is gone again at once.
Seen mount_scratch(const Context&) {
  const Seen seen = result_of(::mount("none", "/tmp", "tmpfs", 0, nullptr));
  if (seen.ending == sandbox::Ending::done) ::umount2("/tmp", MNT_DETACH);
  return seen;
}

// Nothing of these says what to do: a kernel that does not refuse the caller refuses the request.
Seen mount_by_descriptor(const Context& context) {
  Seen seen;
  if (seen = result_of(::syscall(SYS_open_tree, -1, "", ~0u), "open_tree"); !context.expects(seen))
    return seen;
  if (seen = result_of(::syscall(SYS_fsopen, "", ~0u), "fsopen"); !context.expects(seen)) return seen;
  if (seen = result_of(::syscall(SYS_move_mount, -1, "", -1, "", ~0u), "move_mount"); !context.expects(seen))
    return seen;
  return result_of(::syscall(SYS_mount_setattr, -1, "", ~0u, nullptr, 0), "mount_setattr");
}

Seen change_root(const Context& context) {
  const std::string absent = fresh_name("/tmp");
  const Seen seen = result_of(::chroot(absent.c_str()), "chroot");
  if (!context.expects(seen)) return seen;
  return result_of(::syscall(SYS_pivot_root, absent.c_str(), absent.c_str()), "pivot_root");
}

Seen limit_is(__rlimit_resource which, rlim_t must_be) {
  rlimit limit{};
  // By the call itself: the library uses prlimit64, which the filter refuses for the core limit.
  if (::syscall(SYS_getrlimit, which, &limit) != 0) return refused(errno);
  if (Seen seen = equals(limit.rlim_cur, must_be, "the soft limit"); seen.ending != sandbox::Ending::done)
    return seen;
  return equals(limit.rlim_max, must_be, "the hard limit");
}

constexpr Attempt kAttempts[] = {
    {"processes.first",
     [](const Context&) { return equals(static_cast<uint64_t>(::getppid()), kInit, "the parent"); }},
    {"processes.nobody_else", nobody_else},
    {"processes.trace_init",
     [](const Context&) { return result_of(::ptrace(PTRACE_SEIZE, kInit, nullptr, nullptr)); }},
    {"processes.read_init",
     [](const Context&) {
       char byte = 0;
       const iovec here{&byte, 1}, there{nullptr, 1};
       return result_of(::process_vm_readv(kInit, &here, 1, &there, 1, 0));
     }},
    {"processes.take_descriptor", take_descriptor},
    {"processes.compare",
     [](const Context&) { return result_of(::syscall(SYS_kcmp, kInit, ::getpid(), KCMP_VM, 0, 0)); }},
    {"processes.limit_init",
     [](const Context&) {
       rlimit limit{};
       return result_of(::prlimit(kInit, RLIMIT_NOFILE, nullptr, &limit));
     }},
    {"processes.descriptors",
     [](const Context& c) { return c.inherited.empty() ? done() : differs("descriptors " + c.inherited); }},
    // Where no process can be started, Trial::run says so in place of every probe.
    {"processes.fork", [](const Context&) { return done("it tries this"); }},
    {"processes.execute", execute},
    {"privilege.capabilities", capabilities},
    {"privilege.no_new",
     [](const Context&) {
       return equals(static_cast<uint64_t>(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)), 1, "no_new_privs");
     }},
    {"privilege.filter",
     [](const Context&) {
       return equals(static_cast<uint64_t>(::prctl(PR_GET_SECCOMP, 0, 0, 0, 0)), kSeccompFilter, "the mode");
     }},
    {"privilege.identity", identity},
    {"privilege.become_root", become_root},
    {"privilege.groups",
     [](const Context&) {
       const gid_t root = 0;
       return result_of(::setgroups(1, &root));
     }},
    {"privilege.raise", raise},
    {"privilege.user_namespace", [](const Context&) { return result_of(::unshare(CLONE_NEWUSER)); }},
    {"privilege.clone_namespace", clone_namespace},
    {"privilege.clone3",
     [](const Context&) {
       unsigned long nothing[11] = {};
       return result_of(::syscall(SYS_clone3, nothing, 0));  // of a size that no kernel takes
     }},
    {"privilege.namespaces",
     [](const Context& c) {
       return each(
           c,
           std::array{CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP},
           [](int flag) { return result_of(::unshare(flag), "flag " + std::to_string(flag)); });
     }},
    {"privilege.enter",
     [](const Context&) {
       const Fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
       return result_of(::setns(own.get(), CLONE_NEWNET));
     }},
    {"privilege.mount", mount_scratch},
    {"privilege.remount",
     [](const Context&) { return result_of(::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr)); }},
    {"privilege.unmount", [](const Context&) { return result_of(::umount2(fresh_name("/tmp").c_str(), 0)); }},
    {"privilege.mount_by_descriptor", mount_by_descriptor},
    {"privilege.change_root", change_root},
    {"privilege.host_name",
     [](const Context&) {
       constexpr size_t kTooLong = 1000;
       return result_of(::sethostname("x", kTooLong));
     }},
    {"limits.core", [](const Context&) { return limit_is(RLIMIT_CORE, kNoCore); }},
    {"limits.core_kept",
     [](const Context&) {
       const rlimit none{0, 0};
       return result_of(::setrlimit(RLIMIT_CORE, &none));
     }},
    {"limits.open_files",
     [](const Context& c) {
       return c.subject.open_files ? limit_is(RLIMIT_NOFILE, c.subject.open_files) : done("no limit");
     }},
    {"limits.file_size",
     [](const Context& c) {
       return c.subject.file_size_bytes ? limit_is(RLIMIT_FSIZE, c.subject.file_size_bytes)
                                        : done("no limit");
     }},
};

}  // namespace

std::span<const Attempt> process_attempts() {
  return kAttempts;
}

}  // namespace saw::init
