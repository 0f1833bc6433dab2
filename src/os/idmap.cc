#include "os/idmap.h"

#include <csignal>

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/mount.h"

namespace saw::os {
namespace {

Result<> write_map(pid_t child, const char* which, OwnerMap owners) {
  const std::string path = fmt::format("/proc/{}/{}", child, which);
  // Root stays root: overlayfs marks what was deleted with files of its own.
  const std::string text = fmt::format("0 0 1\n{} {} 1\n", owners.on_disk, owners.shown);
  Fd file = SAW_TRY(Fd::open(path, O_WRONLY));
  // The kernel takes a map in one write or not at all.
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return Error::system("os.idmap", "writing the map of owners {} to {}", owners.on_disk, owners.shown);
  return {};
}

// A user namespace exists as long as a process is in it or a descriptor refers to it: a process that does
// nothing is its first inhabitant while the map is written.
Result<Fd> make_user_namespace(OwnerMap owners) {
  clone_args arguments{};
  arguments.flags = CLONE_NEWUSER;
  arguments.exit_signal = SIGCHLD;
  const pid_t self = ::getpid();
  const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (child < 0) return Error::system("os.idmap", "making a user namespace for a map of owners");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != self) ::_exit(1);  // it died before it was asked for
    for (;;) ::pause();
  }
  auto made = [&]() -> Result<Fd> {
    SAW_TRY(write_map(child, "uid_map", owners));
    SAW_TRY(write_map(child, "gid_map", owners));
    return Fd::open(fmt::format("/proc/{}/ns/user", child), O_RDONLY);
  }();
  ::kill(child, SIGKILL);  // our child, not yet waited for: the number is still its own
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return made;
}

}  // namespace

Result<int> IdMaps::user_namespace(OwnerMap owners) {
  if (auto found = kept_.find(owners); found != kept_.end()) return found->second.get();
  if (owners.on_disk == 0 || owners.shown == 0)
    return Error::make("os.idmap", "root's files are not shown as anybody else's");
  if (kept_.size() >= kMaxKept) kept_.clear();
  return (kept_[owners] = SAW_TRY(make_user_namespace(owners))).get();
}

Result<Fd> IdMaps::clone(const std::string& directory, OwnerMap owners) {
  const int map = SAW_TRY(user_namespace(owners));
  Fd source = SAW_TRY(Fd::open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  Fd mount(clone_mount(source.get()));
  if (!mount)
    return std::unexpected(
        Error::from_errno("os.idmap", -mount.get(), fmt::format("copying the mount of '{}'", directory)));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  attributes.userns_fd = static_cast<uint64_t>(map);
  if (::syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return Error::system("os.idmap",
                         "showing '{}' under another owner (does its file system support ID-mapped mounts?)",
                         directory);
  return mount;
}

}  // namespace saw::os
