#include "os/spawn.h"

#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/capability.h"
#include "os/process.h"

namespace saw::os {
namespace {

constexpr int kFirstDescriptor = 3;
constexpr int kParking = 64;  // descriptors wait above this number while their final places are filled

// What the child needs, prepared by the parent: between vfork and exec nothing is allocated and no lock is
// taken.
struct Prepared {
  const char* step = nullptr;  // written by the child when something fails; vfork shares the memory
  int error = 0;
  int program = -1, null = -1;
  const int* descriptors = nullptr;
  size_t descriptor_count = 0;
  char** argv = nullptr;
  char** envp = nullptr;
  bool change_identity = false, leave_network = false, keep_privileges = false;
  uint32_t identity = 0;
  pid_t parent = 0;
};

bool place_descriptors(Prepared& p) {
  int parked[kMaxSpawnDescriptors];
  for (size_t i = 0; i < p.descriptor_count; ++i) {
    parked[i] = ::fcntl(p.descriptors[i], F_DUPFD_CLOEXEC, kParking);
    if (parked[i] < 0) return false;
  }
  p.program = ::fcntl(p.program, F_DUPFD_CLOEXEC, kParking);
  if (p.program < 0 || ::dup2(p.null, STDIN_FILENO) < 0) return false;
  for (size_t i = 0; i < p.descriptor_count; ++i)
    if (::dup2(parked[i], kFirstDescriptor + static_cast<int>(i)) < 0) return false;
  const unsigned first_unused = kFirstDescriptor + static_cast<unsigned>(p.descriptor_count);
  return ::syscall(SYS_close_range, first_unused, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */) == 0;
}

// Securebits and the bounding set come first: they need CAP_SETPCAP, which changing the identity takes away.
// Whoever lacks it has nothing to drop.
bool drop_privileges(const Prepared& p) {
  const auto done = [](int error) { return (errno = error) == 0; };
  if (const int error = drop_bounding_set(); error != EPERM && !done(error)) return false;
  if (const int error = lock_securebits(); error != EPERM && !done(error)) return false;
  if (p.change_identity && !done(become(p.identity, p.identity))) return false;
  return done(drop_capabilities()) && done(set_no_new_privileges());
}

// Returns only when a step failed.
void run_child(Prepared& p) {
  const auto failed = [&](const char* step) { p.step = step, p.error = errno; };
  ::setsid();
  if (p.leave_network && ::unshare(CLONE_NEWNET) != 0) return failed("leaving the network");
  if (!place_descriptors(p)) return failed("placing descriptors");
  if (!p.keep_privileges && !drop_privileges(p)) return failed("dropping privileges");
  // After the identity: changing it clears the parent-death signal (prctl(2)).
  if ((errno = die_with_parent()) != 0) return failed("binding its life to saw-node");
  if (::getppid() != p.parent) return failed("finding its parent alive");
  if (::chdir("/") != 0) return failed("changing to /");
  if ((errno = reset_signals()) != 0) return failed("resetting signals");
  ::syscall(SYS_execveat, p.program, "", p.argv, p.envp, AT_EMPTY_PATH);
  failed("executing it");
}

// Kept out of line: a function that calls vfork must not share its frame with code that runs after the child
// has returned into it.
[[gnu::noinline]] pid_t vfork_and_run(Prepared& p) {
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  // vfork: forking a large daemon costs milliseconds (page tables), and the child only calls exec. The
  // analyzer's alternative, posix_spawn, can neither drop capabilities nor set the parent-death signal.
  pid_t pid = ::vfork();
  if (pid == 0) {
    run_child(p);
    ::_exit(127);
  }
  const int saved = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = saved;
  return pid;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

Result<Child> spawn(const SpawnSpec& spec) {
  SAW_CHECK(spec.descriptors.size() <= kMaxSpawnDescriptors);
  Fd program = SAW_TRY(Fd::open(spec.program, O_PATH), fmt::format("starting '{}'", spec.program));
  Fd null = SAW_TRY(Fd::open("/dev/null", O_RDWR));
  std::vector<int> descriptors;
  for (const Fd& fd : spec.descriptors) descriptors.push_back(fd.get());
  std::vector<char*> argv = pointers(spec.arguments), envp = pointers(spec.environment);
  Prepared prepared{.program = program.get(),
                    .null = null.get(),
                    .descriptors = descriptors.data(),
                    .descriptor_count = descriptors.size(),
                    .argv = argv.data(),
                    .envp = envp.data(),
                    .change_identity = spec.identity.has_value(),
                    .leave_network = spec.network == NetworkView::empty,
                    .keep_privileges = spec.privileges == Privileges::kept,
                    .identity = spec.identity.value_or(0),
                    .parent = ::getpid()};
  const pid_t pid = vfork_and_run(prepared);
  if (pid < 0) return Error::system("os.spawn", "starting '{}'", spec.program);
  if (prepared.step != nullptr) {
    ::waitpid(pid, nullptr, 0);
    return std::unexpected(Error::from_errno("os.spawn", prepared.error,
                                             fmt::format("starting '{}': {}", spec.program, prepared.step)));
  }
  return Child::open(pid);
}

Result<Child> Child::open(int32_t pid) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd && errno == ESRCH) return Error::make("os.no_process", "there is no process {}", pid);
  if (!pidfd) return Error::system("os.pidfd", "opening process {}", pid);
  return Child(pid, std::move(pidfd));
}

void Child::kill(int signal) const {
  if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

bool Child::wait_ended(int64_t milliseconds) const {
  pollfd ready{.fd = pidfd_.get(), .events = POLLIN};
  return ::poll(&ready, 1, static_cast<int>(milliseconds)) == 1;
}

bool Child::has_ended() const {
  return wait_ended(0);
}

std::optional<int> Child::reap() const {
  if (!pidfd_ || !has_ended()) return std::nullopt;
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
    return 0;
  return info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status & 0x7f;
}

std::string describe_wait_status(int status) {
  if (WIFEXITED(status)) return fmt::format("exited with status {}", WEXITSTATUS(status));
  return fmt::format("killed by signal {}", WTERMSIG(status));
}

}  // namespace saw::os
