#include "os/userns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
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

Result<> make_user_namespace(uid_t uid, gid_t gid) {
  if (::unshare(CLONE_NEWUSER) != 0) return Error::system("os.userns", "making a user namespace");
  // gid_map may be written by an ordinary user only after setgroups is given up (user_namespaces(7)).
  SAW_TRY(write_proc("/proc/self/setgroups", "deny"));
  SAW_TRY(write_proc("/proc/self/uid_map", fmt::format("0 {} 1", uid)));
  return write_proc("/proc/self/gid_map", fmt::format("0 {} 1", gid));
}

}  // namespace

Result<DaemonView> enter_daemon_namespaces(Fd earlier) {
  const DaemonView view{.rootless = ::geteuid() != 0, .outside_uid = ::geteuid()};
  if (view.rootless && earlier) {
    if (::setns(earlier.get(), CLONE_NEWUSER) != 0)
      return Error::system("os.userns", "joining the user namespace of the running sandboxes");
  } else if (view.rootless) {
    SAW_TRY(make_user_namespace(::geteuid(), ::getegid()));
  }
  if (::unshare(CLONE_NEWNS) != 0) return Error::system("os.userns", "making a mount namespace");
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return Error::system("os.mount", "making mounts private");
  return view;
}

Result<Fd> user_namespace_above(int32_t pid) {
  Fd inner = SAW_TRY(Fd::open(fmt::format("/proc/{}/ns/user", pid), O_RDONLY));
  Fd above(::ioctl(inner.get(), NS_GET_PARENT));
  if (!above) return Error::system("os.userns", "finding the user namespace above that of process {}", pid);
  return above;
}

}  // namespace saw::os
