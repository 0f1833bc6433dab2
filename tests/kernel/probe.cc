// Tries one thing inside a sandbox and says how it went: prints "ok" or the errno's name, exits 0 or 1. One
// verb per attempt; the benign twin of an attack is the same verb with harmless arguments.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using Arguments = char**;

bool write_file(const char* path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  return fd >= 0 && write(fd, "x\n", 2) == 2;
}
bool read_file(const char* path) {
  char byte;
  int fd = open(path, O_RDONLY);
  return fd >= 0 && read(fd, &byte, 1) >= 0;
}
bool connect_inet(const char* host, int port, int type, const char* text) {
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port))};
  sockaddr_in6 v6{.sin6_family = AF_INET6, .sin6_port = htons(static_cast<uint16_t>(port))};
  const bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
  if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1) return errno = EINVAL, false;
  int fd = socket(is_v4 ? AF_INET : AF_INET6, type, 0);
  if (fd < 0) return false;
  timeval patience{.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6),
              is_v4 ? sizeof v4 : sizeof v6) != 0)
    return false;
  if (!text) return true;
  char answer[256];
  if (send(fd, text, strlen(text), 0) < 0) return false;
  ssize_t n = recv(fd, answer, sizeof answer - 1,
                   0);  // on a connected datagram socket: only from the address that was asked
  if (n < 0) return false;
  answer[n] = 0;
  printf("%s ", answer);
  return true;
}
bool connect_abstract(const char* name) {
  sockaddr_un address{.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address),
                            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(name))) == 0;
}
bool child_exits_well(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
bool run(char** argv) {
  pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    execv(argv[0], argv);
    _exit(126);
  }
  int status;
  waitpid(child, &status, 0);
  return child_exits_well(status) || (errno = EACCES, false);
}
// Until fork fails or `limit` processes sleep at once; then they all go.
bool fork_many(int limit) {
  int count = 0;
  bool all = true;
  for (; count < limit; ++count) {
    pid_t child = fork();
    if (child < 0) {
      all = false;
      break;
    }
    if (child == 0) {
      pause();
      _exit(0);
    }
  }
  int saved = errno;
  printf("%d ", count);
  fflush(stdout);
  kill(-1, SIGKILL);
  errno = saved;
  return all;
}
bool use_memory(size_t bytes) {
  char* p =
      static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (p == MAP_FAILED) return false;
  for (size_t i = 0; i < bytes; i += 4096) p[i] = 1;
  return true;
}
long i386_getpid() {
#if defined(__x86_64__)
  long result;
  asm volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
  if (result < 0) errno = static_cast<int>(-result), result = -1;
  return result;
#else
  return errno = ENOSYS, -1;
#endif
}
bool print_status() {
  FILE* file = fopen("/proc/self/status", "r");
  char line[256];
  while (file && fgets(line, sizeof line, file))
    for (const char* key : {"CapEff", "CapPrm", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp:", "Groups"})
      if (!strncmp(line, key, strlen(key))) fputs(line, stdout);
  return file;
}
bool print_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (!directory) return false;
  while (dirent* entry = readdir(directory)) {
    char target[256] = {};
    if (atoi(entry->d_name) == dirfd(directory) || entry->d_name[0] == '.') continue;
    if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0)
      printf("%s=%s\n", entry->d_name, target);
  }
  return true;
}

struct Verb {
  const char* name;
  bool (*run)(Arguments);
};
const Verb kVerbs[] = {
    {"write", [](Arguments a) { return write_file(a[0]); }},
    {"read", [](Arguments a) { return read_file(a[0]); }},
    {"list",
     [](Arguments a) {
       DIR* d = opendir(a[0]);
       if (!d) return false;
       while (dirent* e = readdir(d))
         if (e->d_name[0] != '.') printf("%s ", e->d_name);
       return true;
     }},
    {"mkdir", [](Arguments a) { return mkdir(a[0], 0755) == 0; }},
    {"unlink", [](Arguments a) { return unlink(a[0]) == 0; }},
    {"rename", [](Arguments a) { return rename(a[0], a[1]) == 0; }},
    {"link", [](Arguments a) { return link(a[0], a[1]) == 0; }},
    {"symlink-write",
     [](Arguments a) {
       unlink(a[1]);
       return symlink(a[0], a[1]) == 0 && write_file(a[1]);
     }},
    {"symlink-read",
     [](Arguments a) {
       unlink(a[1]);
       return symlink(a[0], a[1]) == 0 && read_file(a[1]);
     }},
    {"chmod", [](Arguments a) { return chmod(a[0], 0777) == 0; }},
    {"chmod-to",
     [](Arguments a) { return chmod(a[0], static_cast<mode_t>(strtoul(a[1], nullptr, 8))) == 0; }},
    {"rename-flags",
     [](Arguments a) {
       return renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1], static_cast<unsigned>(atoi(a[2]))) == 0;
     }},
    {"remount-rw",
     [](Arguments a) { return mount(nullptr, a[0], nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0; }},
    {"umount", [](Arguments a) { return umount2(a[0], MNT_DETACH) == 0; }},
    {"bind-mount", [](Arguments a) { return mount(a[0], a[1], nullptr, MS_BIND, nullptr) == 0; }},
    {"chroot", [](Arguments a) { return chroot(a[0]) == 0; }},
    {"mknod-null", [](Arguments a) { return mknod(a[0], S_IFCHR | 0666, makedev(1, 3)) == 0; }},
    {"mkfifo", [](Arguments a) { return mkfifo(a[0], 0600) == 0; }},
    {"socket", [](Arguments a) { return socket(atoi(a[0]), atoi(a[1]), atoi(a[2])) >= 0; }},
    {"socket-option",
     [](Arguments a) {
       const int on = 1;
       return setsockopt(socket(AF_INET, SOCK_STREAM, 0), atoi(a[0]), atoi(a[1]), &on, sizeof on) == 0;
     }},
    {"connect", [](Arguments a) { return connect_inet(a[0], atoi(a[1]), SOCK_STREAM, nullptr); }},
    {"udp", [](Arguments a) { return connect_inet(a[0], atoi(a[1]), SOCK_DGRAM, a[2]); }},
    {"bind-tcp",
     [](Arguments a) {
       sockaddr_in6 any{.sin6_family = AF_INET6, .sin6_port = htons(static_cast<uint16_t>(atoi(a[0])))};
       int fd = socket(AF_INET6, SOCK_STREAM, 0);
       return bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0 && listen(fd, 1) == 0;
     }},
    {"abstract", [](Arguments a) { return connect_abstract(a[0]); }},
    {"unshare", [](Arguments a) { return unshare(static_cast<int>(strtol(a[0], nullptr, 0))) == 0; }},
    {"clone-user", [](Arguments) { return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) >= 0; }},
    {"clone3",
     [](Arguments) {
       unsigned long zero[11] = {};
       return syscall(SYS_clone3, zero, sizeof zero) >= 0;
     }},
    {"fork",
     [](Arguments) {
       pid_t p = fork();
       if (p == 0) _exit(0);
       return p > 0 && waitpid(p, nullptr, 0) == p;
     }},
    {"setns",
     [](Arguments a) {
       int fd = open(a[0], O_RDONLY);
       return fd >= 0 && setns(fd, 0) == 0;
     }},
    {"ptrace", [](Arguments a) { return ptrace(PTRACE_ATTACH, atoi(a[0]), nullptr, nullptr) == 0; }},
    {"process-vm",
     [](Arguments a) {
       char b[8];
       iovec l{b, 8}, r{b, 8};
       return process_vm_readv(atoi(a[0]), &l, 1, &r, 1, 0) >= 0;
     }},
    {"keyctl",
     [](Arguments) { return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) >= 0; }},
    {"io-uring",
     [](Arguments) {
       io_uring_params p{};
       return syscall(SYS_io_uring_setup, 1, &p) >= 0;
     }},
    {"bpf",
     [](Arguments) {
       bpf_attr b{};
       return syscall(SYS_bpf, BPF_PROG_LOAD, &b, sizeof b) >= 0;
     }},
    {"perf",
     [](Arguments) {
       perf_event_attr p{};
       p.size = sizeof p;
       return syscall(SYS_perf_event_open, &p, 0, -1, -1, 0) >= 0;
     }},
    {"userfaultfd", [](Arguments) { return syscall(SYS_userfaultfd, 0) >= 0; }},
    {"open-by-handle",
     [](Arguments) {
       file_handle h{};
       return syscall(SYS_open_by_handle_at, AT_FDCWD, &h, O_RDONLY) >= 0;
     }},
    {"ioctl",
     [](Arguments a) {
       char c = 'x';
       return syscall(SYS_ioctl, 0, strtoul(a[0], nullptr, 0), &c) >= 0;
     }},
    {"personality", [](Arguments a) { return personality(strtoul(a[0], nullptr, 0)) >= 0; }},
    {"i386", [](Arguments) { return i386_getpid() >= 0; }},
    {"x32", [](Arguments) { return syscall(0x40000000 + SYS_getpid) >= 0; }},
    {"syscall", [](Arguments a) { return syscall(atol(a[0]), 0, 0, 0, 0, 0, 0) >= 0; }},
    {"setuid", [](Arguments a) { return setuid(static_cast<uid_t>(atoi(a[0]))) == 0; }},
    {"setgroups",
     [](Arguments) {
       gid_t g = 0;
       return syscall(SYS_setgroups, 1, &g) == 0;
     }},
    {"uid",
     [](Arguments) {
       printf("%d %d ", getuid(), geteuid());
       return true;
     }},
    {"kill", [](Arguments a) { return kill(atoi(a[0]), atoi(a[1])) == 0; }},
    {"dumpable", [](Arguments) { return prctl(PR_SET_DUMPABLE, 1) == 0; }},
    {"sethostname", [](Arguments) { return sethostname("x", 1) == 0; }},
    {"run", [](Arguments a) { return run(a); }},
    {"forks", [](Arguments a) { return fork_many(atoi(a[0])); }},
    {"memory", [](Arguments a) { return use_memory(strtoull(a[0], nullptr, 0)); }},
    {"open-files",
     [](Arguments a) {
       for (int i = 0; i < atoi(a[0]); ++i)
         if (open("/dev/null", O_RDONLY) < 0) return false;
       return true;
     }},
    {"raise-limit",
     [](Arguments) {
       rlimit l{1u << 20, 1u << 20};
       return setrlimit(RLIMIT_NOFILE, &l) == 0;
     }},
    {"limit-of",
     [](Arguments a) {
       rlimit l{16, 16};
       return prlimit(atoi(a[0]), RLIMIT_NOFILE, &l, nullptr) == 0;
     }},
    {"schedule",
     [](Arguments a) {
       sched_param p{};
       return sched_setscheduler(atoi(a[0]), SCHED_BATCH, &p) == 0;
     }},
    {"terminals",
     [](Arguments a) {
       for (int i = 0; i < atoi(a[0]); ++i)
         if (open("/dev/ptmx", O_RDWR | O_NOCTTY) < 0) return false;
       return true;
     }},
    {"empty-files",
     [](Arguments a) {
       for (int i = 0; i < atoi(a[1]); ++i) {
         const int fd = open((std::string(a[0]) + "/empty" + std::to_string(i)).c_str(), O_CREAT, 0600);
         if (fd < 0) return false;
         close(fd);
       }
       return true;
     }},
    {"lease",
     [](Arguments a) {
       signal(SIGIO, SIG_IGN);
       if (fcntl(open(a[0], O_RDONLY), F_SETLEASE, F_WRLCK) != 0) return false;
       puts("leased");
       fflush(stdout);
       while (true) pause();
       return true;
     }},
    {"core-limit",
     [](Arguments) {
       rlimit l{0, 0};
       return setrlimit(RLIMIT_CORE, &l) == 0;
     }},
    {"file-limit",
     [](Arguments) {
       rlimit l{16, 16};
       return setrlimit(RLIMIT_NOFILE, &l) == 0;
     }},
    {"status", [](Arguments) { return print_status(); }},
    {"descriptors", [](Arguments) { return print_descriptors(); }},
    {"orphan",
     [](Arguments) {
       if (fork() == 0) {
         setsid();
         for (int i = 0; i < 3; ++i) close(i);
         if (fork() == 0) pause();
         _exit(0);
       }
       return true;
     }},
    {"sleep",
     [](Arguments) {
       puts("sleeping");
       fflush(stdout);
       pause();
       return true;
     }},
    {"close-all",
     [](Arguments) {
       for (int i = 3; i < 1024; ++i) close(i);
       return true;
     }},
};

}  // namespace

int main(int argc, char** argv) {
  for (const Verb& verb : kVerbs) {
    if (argc < 2 || strcmp(argv[1], verb.name)) continue;
    errno = 0;
    const bool good = verb.run(argv + 2);
    puts(good ? "ok" : strerrorname_np(errno) ? strerrorname_np(errno) : "failed");
    return good ? 0 : 1;
  }
  fputs("unknown verb\n", stderr);
  return 2;
}
