#include "os/mount.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// <sys/mount.h> clashes with <linux/mount.h>, which has what mount_setattr needs; these two are all that is
// missing then.
extern "C" int mount(const char*, const char*, const char*, unsigned long, const void*) noexcept;
extern "C" int umount2(const char*, int) noexcept;

namespace saw::os {
namespace {

static_assert(kReadOnly == MOUNT_ATTR_RDONLY && kNoSuid == MOUNT_ATTR_NOSUID &&
              kNoDevice == MOUNT_ATTR_NODEV && kNoExecute == MOUNT_ATTR_NOEXEC);
constexpr unsigned long kMsPrivateRecursive = (1ul << 18) | (1ul << 14);  // MS_PRIVATE | MS_REC
constexpr int kMntDetach = 2, kUmountNoFollow = 8;
constexpr int kMaxPath = 4096;

int or_errno(long result) {
  return result < 0 ? -errno : static_cast<int>(result);
}

// Closes at the end of its scope; errno-neutral, without the rest of Fd.
struct Closing {
  int fd;
  ~Closing() {
    const int saved = errno;
    if (fd >= 0) ::close(fd);
    errno = saved;
  }
  int release() {
    int out = fd;
    fd = -1;
    return out;
  }
};

// "a/b/c" → the directory a/b, and "c".
struct Parent {
  int fd = -1;
  char name[256] = {};
};
int open_parent(int root, const char* path, Parent& out) {
  const char* slash = std::strrchr(path, '/');
  const char* name = slash ? slash + 1 : path;
  if (!*name || std::strlen(name) >= sizeof out.name) return -EINVAL;
  std::strcpy(out.name, name);
  char directory[kMaxPath];
  const size_t length = slash ? static_cast<size_t>(slash - path) : 0;
  if (length >= sizeof directory) return -ENAMETOOLONG;
  std::memcpy(directory, path, length);
  directory[length] = '\0';
  out.fd = open_path(root, length ? directory : ".", Links::refuse);
  return out.fd < 0 ? out.fd : 0;
}

}  // namespace

int open_path(int root, const char* path, Links links) noexcept {
  while (*path == '/') ++path;
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  if (links == Links::refuse) how.resolve |= RESOLVE_NO_SYMLINKS;
  return or_errno(::syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how));
}

int open_path_itself(int root, const char* path) noexcept {
  while (*path == '/') ++path;
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  return or_errno(::syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how));
}

int make_path(int root, const char* path, uint32_t mode, Owner owner) noexcept {
  Closing at{or_errno(::fcntl(root, F_DUPFD_CLOEXEC, 3))};
  while (at.fd >= 0) {
    while (*path == '/') ++path;
    if (!*path) return at.release();
    const size_t length = std::strcspn(path, "/");
    char name[256];
    if (length >= sizeof name) return -ENAMETOOLONG;
    std::memcpy(name, path, length);
    name[length] = '\0';
    path += length;
    const bool made = ::mkdirat(at.fd, name, mode) == 0;
    if (!made && errno != EEXIST) return -errno;
    Closing next{::openat(at.fd, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC)};
    if (next.fd < 0) return -errno;
    if (made && ::fchownat(next.fd, "", owner.uid, owner.gid, AT_EMPTY_PATH) != 0) return -errno;
    ::close(at.fd);
    at.fd = next.release();
  }
  return at.fd;
}

int make_directory(int root, const char* path, uint32_t mode, Owner owner) noexcept {
  while (*path == '/') ++path;
  if (::mkdirat(root, path, mode) != 0) return -errno;
  if (owner.uid == 0 && owner.gid == 0) return 0;
  return or_errno(::fchownat(root, path, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW));
}

int make_file(int root, const char* path) noexcept {
  Parent parent;
  if (int error = open_parent(root, path, parent)) return error;
  Closing directory{parent.fd};
  Closing made{::openat(parent.fd, parent.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444)};
  if (made.fd < 0 && errno != EEXIST) return -errno;
  return or_errno(::openat(parent.fd, parent.name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

int write_new_file(int root, const char* path, const char* content, uint64_t size, uint32_t mode) noexcept {
  Parent parent;
  if (int error = open_parent(root, path, parent)) return error;
  Closing directory{parent.fd};
  Closing file{::openat(parent.fd, parent.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
  if (file.fd < 0) return -errno;
  while (size) {
    ssize_t n = ::write(file.fd, content, size);
    if (n < 0 && errno != EINTR) return -errno;
    if (n > 0) content += n, size -= static_cast<uint64_t>(n);
  }
  return 0;
}

int make_symlink(int root, const char* path, const char* target) noexcept {
  Parent parent;
  if (int error = open_parent(root, path, parent)) return error;
  Closing directory{parent.fd};
  return or_errno(::symlinkat(target, parent.fd, parent.name));
}

PathKind kind_of(int fd) noexcept {
  struct stat info{};
  return ::fstatat(fd, "", &info, AT_EMPTY_PATH) == 0 && S_ISDIR(info.st_mode) ? PathKind::directory
                                                                               : PathKind::other;
}

int clone_tree(int fd) noexcept {
  return or_errno(
      ::syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
}
int clone_mount(int fd) noexcept {
  return or_errno(::syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
}

int set_mount_flags(int mount_fd, uint64_t flags, Reach reach) noexcept {
  mount_attr attributes{};
  attributes.attr_set = flags;
  const int at = AT_EMPTY_PATH | (reach == Reach::recursive ? AT_RECURSIVE : 0);
  return or_errno(::syscall(SYS_mount_setattr, mount_fd, "", at, &attributes, sizeof attributes));
}

int attach(int mount_fd, int target) noexcept {
  return or_errno(
      ::syscall(SYS_move_mount, mount_fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

int new_filesystem(const char* type, const MountOption* options, uint64_t flags) noexcept {
  Closing context{or_errno(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC))};
  if (context.fd < 0) return context.release();
  for (; options->key; ++options) {
    const unsigned command = options->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
    if (::syscall(SYS_fsconfig, context.fd, command, options->key, options->value, 0) != 0) return -errno;
  }
  if (::syscall(SYS_fsconfig, context.fd, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return -errno;
  return or_errno(::syscall(SYS_fsmount, context.fd, FSMOUNT_CLOEXEC, static_cast<unsigned>(flags)));
}

int bind_path(const char* source, const char* target) noexcept {
  constexpr unsigned long kMsBind = 4096;  // MS_BIND
  return or_errno(::mount(source, target, nullptr, kMsBind, nullptr));
}

int set_path_flags(const char* path, uint64_t flags) noexcept {
  mount_attr attributes{};
  attributes.attr_set = flags;
  return or_errno(::syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &attributes, sizeof attributes));
}

int make_all_private() noexcept {
  return or_errno(::mount(nullptr, "/", nullptr, kMsPrivateRecursive, nullptr));
}

int enter_root(int root) noexcept {
  if (::fchdir(root) != 0) return -errno;
  // pivot_root(".", ".") stacks the old root on the new one, from where it can be detached without a
  // directory to put it (pivot_root(2)).
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return -errno;
  if (::umount2(".", kMntDetach) != 0) return -errno;
  return or_errno(::chdir("/"));
}

int detach(int root, const char* path) noexcept {
  Closing at{open_path(root, path, Links::refuse)};
  if (at.fd < 0) return at.fd;
  if (::fchdir(at.fd) != 0 || ::umount2(".", kMntDetach | kUmountNoFollow) != 0) return -errno;
  return or_errno(::chdir("/"));
}

int new_mount_namespace() noexcept {
  return ::unshare(CLONE_NEWNS) == 0 ? 0 : errno;
}

Result<Fd> detached_mount(const std::string& directory) {
  Fd place = SAW_TRY(Fd::open(directory, O_PATH | O_DIRECTORY));
  Fd copy(clone_mount(place.get()));
  if (copy.get() < 0) {
    errno = -copy.release();
    return Error::system("mount.copy", "copying the mount of '{}'", directory);
  }
  return copy;
}

}  // namespace saw::os
