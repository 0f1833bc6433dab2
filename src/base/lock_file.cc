#include "base/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace saw {

Result<Fd> lock_file(const std::string& path) {
  constexpr int kAttempts = 16;
  for (int i = 0; i < kAttempts; ++i) {
    Fd fd = SAW_TRY(Fd::open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return Error::make("io.locked", "'{}' is locked by another process", path);
      return Error::system("io.lock", "locking '{}'", path);
    }
    struct stat ours{}, there{};
    if (::fstat(fd.get(), &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
        ours.st_dev == there.st_dev)
      return fd;
  }
  return Error::make("io.lock", "'{}' keeps being replaced", path);
}

}  // namespace saw
