#include "base/flat_directory.h"

#include <algorithm>
#include <climits>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

namespace saw {
namespace {

bool is_one_segment(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && !name.contains('/') && !name.contains('\0');
}

struct CloseDirectory {
  void operator()(DIR* d) const { ::closedir(d); }
};

// Every name but "." and "..", at most `most`.
Result<std::vector<std::string>> names_in(const Fd& directory, size_t most) {
  Fd own(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return Error::system("io.open", "opening a directory to list it");
  const std::unique_ptr<DIR, CloseDirectory> listing(::fdopendir(own.get()));
  if (!listing) return Error::system("io.read", "listing a directory");
  own.release();  // the listing owns it now
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (!entry && errno != 0) return Error::system("io.read", "listing a directory");
    if (!entry) break;
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() == most)
      return Error::make("io.too_many", "the directory has more than {} entries", most);
    names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

Result<Fd> open_directory(const std::string& path) {
  return Fd::open(path, O_RDONLY | O_DIRECTORY);
}

Result<Fd> open_directory_at(const Fd& directory, const std::string& name) {
  if (!is_one_segment(name))
    return Error::make("io.name", "'{}' is not the name of a directory", printable(name));
  Fd fd(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return Error::system("io.open", "opening the directory '{}'", printable(name));
  return fd;
}

Result<std::optional<std::string>> read_file_at(const Fd& directory, const std::string& name, size_t limit) {
  if (!is_one_segment(name)) return Error::make("io.name", "'{}' is not the name of a file", printable(name));
  // O_NONBLOCK: a FIFO must not hold the reader.
  Fd fd(::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::optional<std::string>();
  if (!fd && (errno == ELOOP || errno == ENXIO))
    return Error::make("io.not_a_file", "'{}' is not a regular file", printable(name));
  if (!fd) return Error::system("io.open", "opening '{}'", printable(name));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return Error::system("io.stat", "inspecting '{}'", printable(name));
  if (!S_ISREG(info.st_mode))
    return Error::make("io.not_a_file", "'{}' is not a regular file", printable(name));
  return std::optional(SAW_TRY(read_all(fd, limit), fmt::format("reading '{}'", printable(name))));
}

Result<std::optional<std::string>> read_link_at(const Fd& directory, const std::string& name) {
  if (!is_one_segment(name)) return Error::make("io.name", "'{}' is not the name of a link", printable(name));
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(directory.get(), name.c_str(), target.data(), target.size());
  if (size < 0 && errno == ENOENT) return std::optional<std::string>();
  if (size < 0 && errno == EINVAL)
    return Error::make("io.not_a_link", "'{}' is not a symbolic link", printable(name));
  if (size < 0) return Error::system("io.read", "reading the link '{}'", printable(name));
  target.resize(static_cast<size_t>(size));
  return std::optional(std::move(target));
}

Result<FlatDirectory> read_flat_directory(const Fd& directory, FlatLimits limits) {
  FlatDirectory out;
  size_t left = limits.bytes;
  for (const std::string& name : SAW_TRY(names_in(directory, limits.files))) {
    auto content = read_file_at(directory, name, left);
    if (!content && content.error().code == "io.not_a_file") {
      out.odd.push_back(name);
      continue;
    }
    if (!content) return std::unexpected(std::move(content).error());
    if (!*content) continue;  // gone since it was listed
    left -= (*content)->size();
    out.files.emplace(name, std::move(**content));
  }
  return out;
}

}  // namespace saw
