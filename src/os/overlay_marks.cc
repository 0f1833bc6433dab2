#include "os/overlay_marks.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

namespace saw::os {

bool is_whiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

bool is_opaque(int directory, MarkNamespace marks) {
  const char* name = marks == MarkNamespace::trusted ? "trusted.overlay.opaque" : "user.overlay.opaque";
  char value = 0;
  return ::fgetxattr(directory, name, &value, 1) == 1 && value == 'y';
}

}  // namespace saw::os
