// How the probes of files are tried (sandbox/probe_list.cc says what must come of each).
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "saw-init/probes.h"

namespace saw::init {
namespace {

using Paths = std::vector<std::string>;

constexpr const char* kAlwaysReadOnly[] = {"/", "/etc", "/dev", "/run", "/sys", "/root"};
constexpr const char* kUp = "../../../../../../../../../../../../../../../..";

bool is_directory(const std::string& path, struct stat& info) {
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}
bool is_directory(const std::string& path) {
  struct stat info{};
  return is_directory(path, info);
}

Paths read_only_directories(const Context& context) {
  Paths out;
  for (const char* path : kAlwaysReadOnly)
    if (is_directory(path)) out.emplace_back(path);
  for (const std::string& path : context.subject.read_paths)
    if (is_directory(path)) out.push_back(path);
  return out;
}

Seen create_and_remove(const std::string& name, const std::string& where) {
  const Fd file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return refused(errno, where);
  const bool written = ::write(file.get(), "x", 1) == 1;
  const int error = errno;
  if (::unlink(name.c_str()) != 0) return refused(errno, where);
  return written ? done(where) : refused(error, where);
}

Seen create(const Context& context) {
  Seen seen = each(context, read_only_directories(context),
                   [](const std::string& path) { return create_and_remove(fresh_name(path), path); });
  if (!context.expects(seen)) return seen;
  for (const std::string& path : context.subject.read_paths) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const Fd file(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
    if (seen = file ? done(path) : refused(errno, path); !context.expects(seen)) break;
  }
  return seen;
}

Seen make_link(const Context& context) {
  return each(context, read_only_directories(context), [](const std::string& path) {
    const std::string name = fresh_name(path);
    if (::symlink("nowhere", name.c_str()) != 0) return refused(errno, path);
    ::unlink(name.c_str());
    return done(path);
  });
}

Seen open_for_writing(const std::string& path) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
  return file ? done(path) : refused(errno, path);
}
Seen open_for_reading(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  return file ? done(path) : refused(errno, path);
}
Seen find(const std::string& path) {
  struct stat info{};
  return result_of(::lstat(path.c_str(), &info), path);
}

Paths generated_files(const Context& context) {
  Paths out = {"/etc/passwd", "/etc/group"};
  out.insert(out.end(), context.subject.generated_files.begin(), context.subject.generated_files.end());
  return out;
}

// Through a link of a fresh name in /tmp.
template <class Try> Seen through_link(const std::string& target, Try attempt) {
  const std::string name = fresh_name("/tmp");
  if (::symlink(target.c_str(), name.c_str()) != 0) return differs("no link can be made in /tmp: " + target);
  Seen seen = attempt(name);
  ::unlink(name.c_str());
  seen.detail = target;
  return seen;
}

Seen connect_to(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path) return find(path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return differs("no Unix socket can be made");
  return result_of(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), path);
}

Seen set_user_id(const Context&) {
  const std::string name = fresh_name("/tmp");
  const Fd file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return differs("no file can be made in /tmp");
  const Seen seen = result_of(::chmod(name.c_str(), 04700));
  ::unlink(name.c_str());
  return seen;
}

Seen device_node(const Context&) {
  constexpr unsigned kMemory = 1, kNull = 3;
  const std::string name = fresh_name("/tmp");
  const Seen seen = result_of(::mknod(name.c_str(), S_IFCHR | 0600, makedev(kMemory, kNull)));
  ::unlink(name.c_str());
  return seen;
}

Seen handles(const Context& context) {
  alignas(file_handle) char room[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(room);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  const Seen named =
      result_of(::syscall(SYS_name_to_handle_at, AT_FDCWD, "/", handle, &mount, 0), "name_to_handle_at");
  if (!context.expects(named)) return named;
  return result_of(::syscall(SYS_open_by_handle_at, AT_FDCWD, handle, O_RDONLY | O_CLOEXEC),
                   "open_by_handle_at");
}

// An agent may have taken its own right to write from a directory of its own; that is no surprise.
Seen writable(const Context& context) {
  constexpr mode_t kWriteAndSearch = S_IWUSR | S_IXUSR;
  Seen seen = done("no write path to try");
  for (const std::string& path : context.subject.write_paths) {
    struct stat info{};
    if (!is_directory(path, info)) return differs("no directory: " + path);
    if ((info.st_mode & kWriteAndSearch) != kWriteAndSearch) continue;
    if (seen = create_and_remove(fresh_name(path), path); !context.expects(seen)) break;
  }
  return seen;
}

Seen denied_create(const Context& context) {
  return each(context, context.subject.deny_paths, [](const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0) return refused(errno, path);
    ::rmdir(path.c_str());
    return done(path);
  });
}

constexpr Attempt kAttempts[] = {
    {"files.create", create},
    {"files.symlink", make_link},
    {"files.rename",
     [](const Context& c) {
       return each(c, read_only_directories(c), [](const std::string& path) {
         return result_of(::rename(fresh_name(path).c_str(), fresh_name(path).c_str()), path);
       });
     }},
    {"files.remove",
     [](const Context& c) {
       return each(c, read_only_directories(c), [](const std::string& path) {
         return result_of(::unlink(fresh_name(path).c_str()), path);
       });
     }},
    {"files.mode",
     [](const Context& c) {
       return each(c, read_only_directories(c), [](const std::string& path) {
         struct stat info{};
         if (::stat(path.c_str(), &info) != 0) return refused(errno, path);
         return result_of(::chmod(path.c_str(), info.st_mode & 01777), path);
       });
     }},
    {"files.generated", [](const Context& c) { return each(c, generated_files(c), open_for_writing); }},
    {"files.through_link",
     [](const Context& c) {
       return each(c, generated_files(c),
                   [](const std::string& path) { return through_link(path, open_for_writing); });
     }},
    {"files.host_state", [](const Context& c) { return each(c, c.subject.outside_paths, find); }},
    {"files.host_state_up",
     [](const Context& c) {
       return each(c, c.subject.outside_paths, [](const std::string& path) {
         return through_link(kUp + path, [](const std::string& link) {
           struct stat info{};
           return result_of(::stat(link.c_str(), &info));
         });
       });
     }},
    {"files.host_socket", [](const Context& c) { return connect_to(c.subject.outside_socket); }},
    {"files.password_hashes",
     [](const Context& c) { return each(c, std::array{"/etc/shadow", "/etc/gshadow"}, open_for_reading); }},
    {"files.sysfs",
     [](const Context& c) { return each(c, std::array{"/sys/kernel", "/sys/fs/cgroup"}, find); }},
    {"files.kernel_settings",
     [](const Context& c) {
       return each(c,
                   std::array{"/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern",
                              "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger"},
                   open_for_writing);
     }},
    {"files.kernel_memory",
     [](const Context& c) {
       return each(c, std::array{"/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/kmsg"},
                   open_for_reading);
     }},
    {"files.init_memory",
     [](const Context& c) {
       return each(c,
                   std::array{"/proc/1/mem", "/proc/1/environ", "/proc/1/maps", "/proc/1/fd", "/proc/1/auxv"},
                   open_for_reading);
     }},
    {"files.init_root",
     [](const Context& c) { return each(c, std::array{"/proc/1/root/", "/proc/1/cwd/"}, open_for_reading); }},
    {"files.devices",
     [](const Context& c) {
       return each(c,
                   std::array{"/dev/mem", "/dev/kmsg", "/dev/port", "/dev/kvm", "/dev/fuse", "/dev/net/tun",
                              "/dev/loop-control", "/dev/loop0", "/dev/sda", "/dev/vda", "/dev/nvme0n1",
                              "/dev/vhost-vsock", "/dev/vsock", "/dev/hpet", "/dev/uinput", "/dev/console"},
                   find);
     }},
    {"files.denied", [](const Context& c) { return each(c, c.subject.deny_paths, open_for_reading); }},
    {"files.denied_create", denied_create},
    {"files.device_node", device_node},
    {"files.set_user_id", set_user_id},
    {"files.whiteout",
     [](const Context&) {
       return result_of(::renameat2(AT_FDCWD, fresh_name("/tmp").c_str(), AT_FDCWD,
                                    fresh_name("/tmp").c_str(), RENAME_WHITEOUT));
     }},
    {"files.handles", handles},
    {"files.writable", writable},
    {"files.scratch",
     [](const Context& c) {
       return each(c, std::array{"/tmp", "/dev/shm"},
                   [](const char* path) { return create_and_remove(fresh_name(path), path); });
     }},
    {"files.ordinary_devices",
     [](const Context&) {
       char byte = 'x';
       const Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
           random(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
       if (!null || ::write(null.get(), &byte, 1) != 1) return refused(errno, "/dev/null");
       if (!random || ::read(random.get(), &byte, 1) != 1) return refused(errno, "/dev/urandom");
       return done();
     }},
    {"files.own_process",
     [](const Context&) {
       char byte = 0;
       const Fd status(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
       return result_of(status ? ::read(status.get(), &byte, 1) : -1);
     }},
};

}  // namespace

std::span<const Attempt> file_attempts() {
  return kAttempts;
}

}  // namespace saw::init
