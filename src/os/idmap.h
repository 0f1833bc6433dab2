// Directories shown under another owner: copies of mounts in which the files of one user are those of another
// (mount_setattr(2), MOUNT_ATTR_IDMAP). Nothing on disk changes.
//
//   IdMaps maps;
//   Fd mount = SAW_TRY(maps.clone("/var/lib/saw/node/layers/l-1/fs", {.on_disk = 730000, .shown = 730001}));
//   os::attach(mount.get(), target);
//
// Users other than `on_disk` and root have no number in the copy: what is theirs cannot be changed through it.
// Needs the initial user namespace's root, kernel 5.12 (5.19 below an overlay) and a file system that supports
// it (ext4, xfs, btrfs; tmpfs from 6.3); otherwise the error "os.idmap" says which was missing.
#pragma once

#include <cstdint>
#include <map>

#include "base/fd.h"

namespace saw::os {

struct OwnerMap {
  uint32_t on_disk = 0, shown = 0;  // uid and gid alike
  auto operator<=>(const OwnerMap&) const = default;
};

class IdMaps {
 public:
  // Each costs the kernel a user namespace. When there are more, all are made anew.
  static constexpr size_t kMaxKept = 64;

  // A copy of the mount below `directory` that is attached nowhere yet: read-only, no devices, no set-user-id.
  Result<Fd> clone(const std::string& directory, OwnerMap owners);

 private:
  Result<int> user_namespace(OwnerMap owners);
  std::map<OwnerMap, Fd> kept_;
};

}  // namespace saw::os
