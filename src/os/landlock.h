// Landlock as plain verbs, by raw system calls: Debian's headers know fewer rights than the kernel does.
//
//   int abi = landlock_abi();                                        // 0: not there
//   LandlockRuleset rules = landlock_everything(abi);
//   int fd = landlock_create(rules); landlock_allow(fd, path_fd, kLandlockRead | kLandlockExecute);
//   landlock_enforce(fd);
//
// All functions are usable between clone and exec: no allocation, errors as errno values. Source:
// Documentation/userspace-api/landlock.rst.
#pragma once

#include <cstdint>

namespace saw::os {

constexpr uint64_t kLandlockExecute = 1 << 0, kLandlockWriteFile = 1 << 1, kLandlockReadFile = 1 << 2,
                   kLandlockReadDirectory = 1 << 3, kLandlockRemoveDirectory = 1 << 4,
                   kLandlockRemoveFile = 1 << 5, kLandlockMakeCharacter = 1 << 6,
                   kLandlockMakeDirectory = 1 << 7, kLandlockMakeFile = 1 << 8, kLandlockMakeSocket = 1 << 9,
                   kLandlockMakeFifo = 1 << 10, kLandlockMakeBlock = 1 << 11, kLandlockMakeSymlink = 1 << 12,
                   kLandlockRefer = 1 << 13, kLandlockTruncate = 1 << 14, kLandlockIoctlDevice = 1 << 15;
constexpr uint64_t kLandlockRead = kLandlockReadFile | kLandlockReadDirectory;
constexpr uint64_t kLandlockWrite = kLandlockWriteFile | kLandlockRemoveDirectory | kLandlockRemoveFile |
                                    kLandlockMakeDirectory | kLandlockMakeFile | kLandlockMakeSocket |
                                    kLandlockMakeFifo | kLandlockMakeSymlink | kLandlockRefer |
                                    kLandlockTruncate;
// Rights that mean something on a file; the kernel refuses others there.
constexpr uint64_t kLandlockOnFile =
    kLandlockExecute | kLandlockWriteFile | kLandlockReadFile | kLandlockTruncate | kLandlockIoctlDevice;
constexpr uint64_t kLandlockScopeAbstractSockets = 1 << 0, kLandlockScopeSignals = 1 << 1;

// The ABIs at which rights came: refer 2, truncate 3, device ioctls 5, scopes 6.
constexpr int kLandlockAbiScopes = 6;

struct LandlockRuleset {
  uint64_t handled = 0, scoped = 0;
};

// The version of this kernel, 0 when Landlock is absent or switched off.
int landlock_abi() noexcept;
// Everything this ABI can restrict in the file system, and its scopes.
LandlockRuleset landlock_everything(int abi) noexcept;

// A descriptor (O_CLOEXEC), or -errno.
int landlock_create(const LandlockRuleset& ruleset) noexcept;
// Rights that `ruleset` does not handle must be masked out by the caller. 0 or errno.
int landlock_allow(int ruleset_fd, int path_fd, uint64_t rights) noexcept;
// Needs no_new_privs. For the calling thread and its descendants. 0 or errno.
int landlock_enforce(int ruleset_fd) noexcept;

}  // namespace saw::os
