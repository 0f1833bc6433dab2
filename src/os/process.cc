#include "os/process.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

namespace saw::os {
namespace {

int outcome(long result) {
  return result == 0 ? 0 : errno;
}

int write_proc(const char* path, const char* text) {
  int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const auto length = static_cast<ssize_t>(std::strlen(text));
  const int error = ::write(fd, text, static_cast<size_t>(length)) == length ? 0 : errno;
  ::close(fd);
  return error;
}

// "<id> 0 1", without the C library's formatting.
void format_map(uint32_t id, char (&out)[32]) {
  char digits[12];
  int n = 0;
  do digits[n++] = static_cast<char>('0' + id % 10);
  while (id /= 10);
  int at = 0;
  while (n) out[at++] = digits[--n];
  std::memcpy(out + at, " 0 1", 5);
}

}  // namespace

std::optional<uint64_t> start_time_of(int32_t pid) {
  auto fd = Fd::open(fmt::format("/proc/{}/stat", pid), O_RDONLY);
  if (!fd) return std::nullopt;
  auto text = read_all(*fd, 4096);
  if (!text) return std::nullopt;
  size_t at = text->rfind(')');  // the name before it may hold anything
  if (at == text->npos) return std::nullopt;
  for (int field = 2; field < 22; ++field) {
    at = text->find(' ', at + 1);
    if (at == text->npos) return std::nullopt;
  }
  return std::strtoull(text->c_str() + at, nullptr, 10);
}

int32_t clone_sandbox() noexcept {
  clone_args arguments{};
  // With CLONE_PARENT the signal at the end is the caller's own; none is given.
  arguments.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PARENT;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  return pid < 0 ? -errno : static_cast<int32_t>(pid);
}

int die_with_parent() noexcept {
  return outcome(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
}
int name_process(const char* name) noexcept {
  return outcome(::prctl(PR_SET_NAME, name, 0, 0, 0));
}
int join_network_namespace(int netns) noexcept {
  return outcome(::setns(netns, CLONE_NEWNET));
}
int leave_cgroup_view() noexcept {
  return outcome(::unshare(CLONE_NEWCGROUP));
}
int set_host_name(const char* name) noexcept {
  return outcome(::sethostname(name, std::strlen(name)));
}

int enter_user_namespace_as(uint32_t id) noexcept {
  if (::unshare(CLONE_NEWUSER) != 0) return errno;
  char map[32];
  format_map(id, map);
  if (int error = write_proc("/proc/self/uid_map", map)) return error;
  // An unprivileged gid map needs setgroups(2) to be off for good (user_namespaces(7)).
  if (int error = write_proc("/proc/self/setgroups", "deny"); error && error != EPERM) return error;
  return write_proc("/proc/self/gid_map", map);
}

int set_limit(Limit limit, uint64_t value) noexcept {
  constexpr decltype(RLIMIT_NOFILE) kResources[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_NPROC, RLIMIT_CORE};
  const auto resource = kResources[static_cast<int>(limit)];
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return errno;
  now.rlim_max = std::min<rlim_t>(now.rlim_max, value);
  now.rlim_cur = now.rlim_max;
  return outcome(::setrlimit(resource, &now));
}

int set_oom_score(const char* score) noexcept {
  return write_proc("/proc/self/oom_score_adj", score);
}

int reset_signals() noexcept {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal)
    ::sigaction(signal, &standard, nullptr);  // fails for SIGKILL, SIGSTOP and libc's own
  sigset_t none;
  ::sigemptyset(&none);
  return outcome(::sigprocmask(SIG_SETMASK, &none, nullptr));
}

int keep_only(const int* fds, int count) noexcept {
  if (count > kMaxKept) return EINVAL;
  int high[kMaxKept];
  for (int i = 0; i < count; ++i) {  // out of the way first: a source may be another's target
    high[i] = ::fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + kMaxKept);
    if (high[i] < 0) return errno;
  }
  for (int i = 0; i < count; ++i)
    if (::dup3(high[i], 3 + i, O_CLOEXEC) < 0) return errno;
  return outcome(::syscall(SYS_close_range, 3 + count, ~0u, 0));
}

int close_above(int last) noexcept {
  return outcome(::syscall(SYS_close_range, static_cast<unsigned>(last) + 1, ~0u, 0));
}

int null_standard_streams() noexcept {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return errno;
  for (int fd = 0; fd < 3; ++fd)
    if (::dup2(null, fd) < 0) return errno;
  if (null > 2) ::close(null);
  return 0;
}

int new_session() noexcept {
  return ::setsid() >= 0 ? 0 : errno;
}

}  // namespace saw::os
