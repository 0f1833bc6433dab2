#include "os/confine.h"

#include <array>

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "os/capability.h"
#include "os/landlock.h"
#include "os/seccomp.h"

namespace saw::os {
namespace {

#define SAW_REFUSE(call)                                             \
  SyscallRule {                                                      \
    .name = #call, .number = __NR_##call, .verdict = Verdict::refuse \
  }

// No program of SAW that parses hostile bytes has any use for these.
std::vector<SyscallRule> never_needed() {
  return {
      SAW_REFUSE(execve),
      SAW_REFUSE(execveat),
      SAW_REFUSE(fork),
      SAW_REFUSE(vfork),
      SAW_REFUSE(ptrace),
      SAW_REFUSE(process_vm_readv),
      SAW_REFUSE(process_vm_writev),
      SAW_REFUSE(kcmp),
      SAW_REFUSE(pidfd_getfd),
      SAW_REFUSE(mount),
      SAW_REFUSE(umount2),
      SAW_REFUSE(pivot_root),
      SAW_REFUSE(chroot),
      SAW_REFUSE(move_mount),
      SAW_REFUSE(open_tree),
      SAW_REFUSE(fsopen),
      SAW_REFUSE(fsmount),
      SAW_REFUSE(fsconfig),
      SAW_REFUSE(fspick),
      SAW_REFUSE(mount_setattr),
      SAW_REFUSE(unshare),
      SAW_REFUSE(setns),
      SAW_REFUSE(bpf),
      SAW_REFUSE(perf_event_open),
      SAW_REFUSE(userfaultfd),
      SAW_REFUSE(io_uring_setup),
      SAW_REFUSE(io_uring_enter),
      SAW_REFUSE(io_uring_register),
      SAW_REFUSE(add_key),
      SAW_REFUSE(request_key),
      SAW_REFUSE(keyctl),
      SAW_REFUSE(init_module),
      SAW_REFUSE(finit_module),
      SAW_REFUSE(delete_module),
      SAW_REFUSE(kexec_load),
      SAW_REFUSE(kexec_file_load),
      SAW_REFUSE(reboot),
      SAW_REFUSE(swapon),
      SAW_REFUSE(swapoff),
      SAW_REFUSE(sethostname),
      SAW_REFUSE(setdomainname),
      SAW_REFUSE(acct),
      SAW_REFUSE(quotactl),
      SAW_REFUSE(open_by_handle_at),
      SAW_REFUSE(name_to_handle_at),
      SAW_REFUSE(personality),
      SAW_REFUSE(mknod),
      SAW_REFUSE(mknodat),
      SAW_REFUSE(syslog),
      SAW_REFUSE(setuid),
      SAW_REFUSE(setgid),
      SAW_REFUSE(setresuid),
      SAW_REFUSE(setresgid),
      SAW_REFUSE(setgroups),
      // A thread shares everything; a process, or a namespace, is something new. glibc falls back from clone3
      // to clone.
      {.name = "clone",
       .number = __NR_clone,
       .conditions = {{{.argument = 0, .mask = CLONE_THREAD, .value = CLONE_THREAD}}}},
      {.name = "clone3", .number = __NR_clone3, .verdict = Verdict::unknown},
  };
}

void add_socket_rules(SocketUse use, std::vector<SyscallRule>& rules) {
  if (use == SocketUse::inherited_only) {
    for (SyscallRule rule : {SAW_REFUSE(socket), SAW_REFUSE(connect), SAW_REFUSE(bind), SAW_REFUSE(listen)})
      rules.push_back(rule);
    return;
  }
  SyscallRule socket{.name = "socket", .number = __NR_socket};
  for (uint32_t family : {AF_UNIX, AF_INET, AF_INET6})
    for (uint32_t type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
      socket.conditions.push_back(
          {{.argument = 0, .value = family}, {.argument = 1, .mask = 0xf, .value = type}});
  rules.push_back(socket);
}

Result<> allow_below(int ruleset, const std::string& path, uint64_t rights) {
  auto place = Fd::open(path, O_PATH);
  if (!place && place.error().os_errno == ENOENT) return {};
  if (!place) return std::unexpected(std::move(place).error());
  int error = landlock_allow(ruleset, place->get(), rights);
  if (error == EINVAL)
    error = landlock_allow(ruleset, place->get(), rights & kLandlockOnFile);  // it is a file
  if (error)
    return std::unexpected(Error::from_errno("confine.landlock", error, fmt::format("allowing '{}'", path)));
  return {};
}

Result<std::vector<std::string>> restrict_files(const Confinement& confinement) {
  const int abi = landlock_abi();
  if (abi == 0) {
    if (confinement.landlock == Requirement::required)
      return Error::make("confine.landlock", "this kernel has no Landlock");
    return std::vector<std::string>{"landlock"};
  }
  LandlockRuleset everything = landlock_everything(abi);
  everything.scoped = 0;  // SAW's programs signal and answer each other
  Fd ruleset(landlock_create(everything));
  if (!ruleset) return Error::make("confine.landlock", "creating a Landlock ruleset failed");
  if (confinement.files == FileUse::listed) {
    for (const std::string& path : confinement.read) SAW_TRY(allow_below(ruleset.get(), path, kLandlockRead));
    for (const std::string& path : confinement.write)
      SAW_TRY(allow_below(ruleset.get(), path, (kLandlockRead | kLandlockWrite) & everything.handled));
  }
  if (int error = landlock_enforce(ruleset.get()))
    return std::unexpected(Error::from_errno("confine.landlock", error, "enforcing Landlock"));
  return std::vector<std::string>{};
}

}  // namespace

Result<std::vector<std::string>> confine_self(const Confinement& confinement) {
  auto must = [](int error, const char* action) -> Result<> {
    if (error) return std::unexpected(Error::from_errno("confine.privileges", error, action));
    return {};
  };
  if (capability_state() == CapabilityState::some) {
    SAW_TRY(must(drop_bounding_set(), "emptying the bounding set"));
    SAW_TRY(must(drop_capabilities(), "dropping capabilities"));
  }
  SAW_TRY(must(set_no_new_privileges(), "setting no_new_privs"));
  SAW_TRY(must(set_undumpable(), "forbidding core dumps"));
  std::vector<std::string> missing;
  if (confinement.files != FileUse::any) missing = SAW_TRY(restrict_files(confinement));
  std::vector<SyscallRule> rules = never_needed();
  add_socket_rules(confinement.sockets, rules);
  SAW_TRY(must(load_seccomp(compile_seccomp(rules, Verdict::allow)), "loading the system call filter"));
  return missing;
}

}  // namespace saw::os
