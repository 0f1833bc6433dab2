#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/fd.h"

namespace saw {

Result<std::string> read_file(const std::string& path, size_t limit) {
  Fd fd = SAW_TRY(Fd::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return Error::system("io.stat", "inspecting '{}'", path);
  if (!S_ISREG(info.st_mode)) return Error::make("io.not_a_file", "'{}' is not a regular file", path);
  return SAW_TRY(read_all(fd, limit), fmt::format("reading '{}'", path));
}

Result<> replace_file(const std::string& path, std::string_view content, unsigned mode,
                      Durability durability) {
  std::string temporary = path + random_id(".new-");
  Fd fd = SAW_TRY(Fd::open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
  auto written = write_all(fd, content);
  if (written && ::fchmod(fd.get(), mode) != 0)
    written = Error::system("io.chmod", "setting the mode of '{}'", temporary);
  if (written && durability == Durability::fsync && ::fsync(fd.get()) != 0)
    written = Error::system("io.fsync", "flushing '{}'", temporary);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = Error::system("io.rename", "renaming '{}' to '{}'", temporary, path);
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (durability == Durability::fsync) {
    std::string parent = path.substr(0, path.find_last_of('/') + 1);
    Fd directory = SAW_TRY(Fd::open(parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY));
    if (::fsync(directory.get()) != 0) return Error::system("io.fsync", "flushing directory '{}'", parent);
  }
  return {};
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

Result<> make_directories(const std::string& path, unsigned mode) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return Error::system("io.mkdir", "creating directory '{}'", part);
    if (slash == path.npos) return {};
  }
}

}  // namespace saw
