#include "os/userns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"

namespace saw::os {
namespace {

Result<> write_proc(const char* path, std::string_view text) {
  Fd file = SAW_TRY(Fd::open(path, O_WRONLY));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return Error::system("os.userns", "writing '{}' to {}", text, path);
  return {};
}

}  // namespace

Result<DaemonView> enter_daemon_namespaces() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const bool rootless = uid != 0;
  if (::unshare(CLONE_NEWNS | (rootless ? CLONE_NEWUSER : 0)) != 0)
    return Error::system("os.userns", "making a {} namespace", rootless ? "user" : "mount");
  if (rootless) {
    // gid_map may be written by an ordinary user only after setgroups is given up (user_namespaces(7)).
    SAW_TRY(write_proc("/proc/self/setgroups", "deny"));
    SAW_TRY(write_proc("/proc/self/uid_map", fmt::format("0 {} 1", uid)));
    SAW_TRY(write_proc("/proc/self/gid_map", fmt::format("0 {} 1", gid)));
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return Error::system("os.mount", "making mounts private");
  return DaemonView{rootless, uid};
}

}  // namespace saw::os
