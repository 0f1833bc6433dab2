#include "cli/pack.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "cli/tar.h"

namespace saw::cli {
namespace {

constexpr size_t kChunk = 256u << 10;

class Packer {
 public:
  explicit Packer(const PackWrite& write) : write_(write) {}

  Result<> add(int parent, const std::string& name, const std::string& path, size_t depth) {
    struct stat info{};
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::system("copy.read", "looking at '{}'", printable(path));
    if (depth > TarReader::kMaxDepth) return Error::make("copy.read", "'{}' is too deep", printable(path));
    TarEntry entry{.path = path,
                   .mode = static_cast<uint32_t>(info.st_mode & 0777),
                   .modified = static_cast<int64_t>(info.st_mtime)};
    if (S_ISREG(info.st_mode)) return add_file(parent, name, std::move(entry));
    if (S_ISDIR(info.st_mode)) return add_directory(parent, name, std::move(entry), depth);
    if (S_ISLNK(info.st_mode)) return add_link(parent, name, std::move(entry));
    return Error::make("copy.read", "'{}' is neither a file nor a directory nor a link", printable(path));
  }
  PackResult sum;

 private:
  Result<> add_file(int parent, const std::string& name, TarEntry entry) {
    Fd file(::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat info{};
    if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode))
      return Error::system("copy.read", "opening '{}'", printable(entry.path));
    entry.size = static_cast<uint64_t>(info.st_size);
    SAW_TRY(write_(tar_header(entry)));
    for (uint64_t left = entry.size; left > 0;) {
      const ssize_t n =
          ::read(file.get(), buffer_.data(), static_cast<size_t>(std::min<uint64_t>(left, kChunk)));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return Error::system("copy.read", "reading '{}' to its end", printable(entry.path));
      SAW_TRY(write_({buffer_.data(), static_cast<size_t>(n)}));
      left -= static_cast<uint64_t>(n);
    }
    ++sum.files, sum.bytes += entry.size;
    return write_(tar_padding(entry.size));
  }

  Result<> add_link(int parent, const std::string& name, TarEntry entry) {
    std::string link(TarReader::kMaxPath, '\0');
    const ssize_t n = ::readlinkat(parent, name.c_str(), link.data(), link.size());
    if (n <= 0) return Error::system("copy.read", "reading the link '{}'", printable(entry.path));
    entry.kind = TarEntry::Kind::symlink;
    entry.link = link.substr(0, static_cast<size_t>(n));
    return write_(tar_header(entry));
  }

  Result<> add_directory(int parent, const std::string& name, TarEntry entry, size_t depth) {
    entry.kind = TarEntry::Kind::directory;
    SAW_TRY(write_(tar_header(entry)));
    Fd directory(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return Error::system("copy.read", "opening '{}'", printable(entry.path));
    std::vector<std::string> names;
    {
      Fd again(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!again) return Error::system("copy.read", "opening '{}'", printable(entry.path));
      std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(again.release()), ::closedir);
      if (!listing) return Error::system("copy.read", "listing '{}'", printable(entry.path));
      while (const dirent* each = ::readdir(listing.get()))
        if (std::string_view child = each->d_name; child != "." && child != "..") names.emplace_back(child);
    }
    std::ranges::sort(names);
    for (const std::string& child : names)
      SAW_TRY(add(directory.get(), child, entry.path + "/" + child, depth + 1));
    return {};
  }

  const PackWrite& write_;
  std::string buffer_ = std::string(kChunk, '\0');
};

}  // namespace

Result<PackResult> pack(const std::string& path, const std::string& name, const PackWrite& write,
                        const std::string& last) {
  Packer packer(write);
  std::string itself = path;
  while (itself.size() > 1 && itself.ends_with('/')) itself.pop_back();
  SAW_TRY(packer.add(AT_FDCWD, itself, name, 1));
  if (!last.empty()) SAW_TRY(write(tar_header({.path = last})));
  SAW_TRY(write(tar_end()));
  return packer.sum;
}

}  // namespace saw::cli
