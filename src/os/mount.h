// Mounting by descriptors (open_tree, move_mount, fsopen, mount_setattr): no path is looked up twice, and no
// symbolic link that an agent made is followed.
//
//   int usr = clone_tree(source_fd);  set_mount_flags(usr, kReadOnly | kNoSuid | kNoDevice,
//   Reach::recursive);  attach(usr, target_fd);
//
// The vocabulary of the child between clone and exec: no allocation. Functions return 0 or a descriptor
// (O_CLOEXEC), or -errno. Needs kernel 5.12. Source: mount_setattr(2),
// Documentation/filesystems/mount_api.rst.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace saw::os {

constexpr uint64_t kReadOnly = 1, kNoSuid = 2, kNoDevice = 4, kNoExecute = 8;  // MOUNT_ATTR_*

enum class Reach : uint8_t { this_mount, recursive };

// A path below `root`, which no "..", absolute or magic link leaves.
enum class Links : uint8_t { follow_inside, refuse };
int open_path(int root, const char* path, Links links) noexcept;  // O_PATH
// The same without following anything, the last name included: a link is opened as itself.
int open_path_itself(int root, const char* path) noexcept;
// Makes what is missing, below mount points too. `owner`: of directories that were made. The last directory's
// descriptor (O_PATH).
struct Owner {
  uint32_t uid = 0, gid = 0;
};
int make_path(int root, const char* path, uint32_t mode, Owner owner) noexcept;
// One new directory below a directory that nobody else can change; `root` is "/" of the caller. 0 or -errno.
int make_directory(int root, const char* path, uint32_t mode, Owner owner) noexcept;
// The descriptor (O_PATH) of a regular file, made empty (mode 0444, in a directory that is there) if it is
// missing.
int make_file(int root, const char* path) noexcept;
int write_new_file(int root, const char* path, const char* content, uint64_t size, uint32_t mode) noexcept;
int make_symlink(int root, const char* path, const char* target) noexcept;
enum class PathKind : uint8_t { directory, other };
PathKind kind_of(int fd) noexcept;

int clone_tree(int fd) noexcept;   // with everything mounted below
int clone_mount(int fd) noexcept;  // without
int set_mount_flags(int mount, uint64_t flags, Reach reach) noexcept;
int attach(int mount, int target) noexcept;

// A file system that is mounted nowhere yet. Options: pairs of key and value, value nullptr for a flag; ends
// with {nullptr, nullptr}.
struct MountOption {
  const char* key = nullptr;
  const char* value = nullptr;
};
int new_filesystem(const char* type, const MountOption* options, uint64_t flags) noexcept;

// The same by paths, for places where no path can be anybody else's. A bind has the flags of the mount it copies;
// a file onto a directory, or the other way round, is -ENOTDIR.
int bind_path(const char* source, const char* target) noexcept;
int set_path_flags(const char* path, uint64_t flags) noexcept;

int make_all_private() noexcept;
// The directory becomes "/", and the old root is gone.
int enter_root(int root) noexcept;
int detach(int root, const char* path) noexcept;  // unmounts lazily, with what is mounted below
int new_mount_namespace() noexcept;               // 0 or errno
// A detached copy of the directory's mount, rooted there, without what is mounted below: to be handed to another
// process. Allocates.
Result<Fd> detached_mount(const std::string& directory);

}  // namespace saw::os
