#include "sandbox/tree_files.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "os/xattr.h"

namespace saw::sandbox {
namespace {

constexpr int kOpenFile = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr int kOpenStep = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr mode_t kModeBits = 07777;
constexpr size_t kReadAtOnce = 256u << 10, kMaxTarget = 4096;

Result<Digest> digest_of(int fd, uint64_t size, Budget& budget) {
  if (size > budget.bytes)
    return Error::make("changes.too_large", "the files to be compared have more bytes than are read for it");
  Sha256 hash;
  std::string buffer(std::min<uint64_t>(kReadAtOnce, size + 1), '\0');
  uint64_t done = 0;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::system("changes.read", "reading a changed file");
    if (n == 0) break;
    done += static_cast<uint64_t>(n);
    if (done > size) break;
    hash.add(std::string_view(buffer.data(), static_cast<size_t>(n)));
  }
  if (done != size) return Error::make("changes.moved", "a file changed its size while it was read");
  budget.bytes -= size;
  return std::move(hash).finish();
}

Result<Digest> attributes_of(int fd) {
  const std::vector<os::Attribute> attributes = SAW_TRY(os::user_attributes(fd));
  if (attributes.empty()) return Digest{};
  Sha256 hash;
  const auto add = [&](const std::string& text) {
    const auto size = static_cast<uint32_t>(text.size());
    const std::string length = {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                                static_cast<char>(size >> 8), static_cast<char>(size)};
    hash.add(length);
    hash.add(text);
  };
  for (const os::Attribute& each : attributes) add(each.name), add(each.value);
  return std::move(hash).finish();
}

}  // namespace

FileType type_of(mode_t mode) {
  if (S_ISREG(mode)) return FileType::file;
  if (S_ISDIR(mode)) return FileType::directory;
  return S_ISLNK(mode) ? FileType::symlink : FileType::other;
}

Nanos changed_at(const struct stat& info) {
  return info.st_ctim.tv_sec * kSecond + info.st_ctim.tv_nsec;
}

std::optional<struct stat> look_at(int directory, const std::string& name) {
  struct stat info{};
  if (directory < 0 || ::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  return info;
}

Result<Fd> open_regular(int directory, const std::string& name) {
  Fd fd(::openat(directory, name.c_str(), kOpenFile));
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0)
    return Error::system("changes.moved", "opening the changed file '{}'", printable(name));
  if (!S_ISREG(info.st_mode))
    return Error::make("changes.moved", "'{}' is no file any more", printable(name));
  return fd;
}

Result<FileState> state_of(int directory, const std::string& name, const struct stat& info, Budget& budget) {
  FileState state{.type = type_of(info.st_mode), .mode = info.st_mode & kModeBits};
  if (state.type == FileType::symlink) {
    std::string target(kMaxTarget, '\0');
    const ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (size < 0) return Error::system("changes.moved", "reading the link '{}'", printable(name));
    target.resize(static_cast<size_t>(size));
    state.size = target.size();
    state.content = sha256(target);
    state.target = std::move(target);
    state.mode = 0777;  // links have none of their own
  } else if (state.type == FileType::file) {
    const Fd fd = SAW_TRY(open_regular(directory, name));
    state.size = static_cast<uint64_t>(info.st_size);
    state.content = SAW_TRY(digest_of(fd.get(), state.size, budget));
    state.attributes = SAW_TRY(attributes_of(fd.get()));
  } else if (state.type == FileType::directory) {
    const Fd fd(::openat(directory, name.c_str(), kOpenFile | O_DIRECTORY));
    if (!fd) return Error::system("changes.moved", "opening the directory '{}'", printable(name));
    state.attributes = SAW_TRY(attributes_of(fd.get()));
  }
  return state;
}

Result<std::vector<std::string_view>> path_parts(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t start = 1; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    parts.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  const auto bad = [](std::string_view part) { return part.empty() || part == "." || part == ".."; };
  if (!path.starts_with('/') || parts.empty() || std::ranges::any_of(parts, bad))
    return Error::make("changes.bad_path", "'{}' is no path in a tree", printable(path));
  return parts;
}

Result<std::optional<TreeCursor::Place>> TreeCursor::find(std::string_view path) {
  std::vector<std::string_view> parts = SAW_TRY(path_parts(path));
  const std::string name(parts.back());
  parts.pop_back();
  size_t common = 0;
  while (common < parts.size() && common < open_.size() && open_[common].name == parts[common]) ++common;
  open_.erase(open_.begin() + static_cast<ptrdiff_t>(common), open_.end());
  for (; common < parts.size(); ++common) {
    const int above = open_.empty() ? root_ : open_.back().directory.get();
    std::string step(parts[common]);
    Fd next(::openat(above, step.c_str(), kOpenStep));
    if (!next && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return std::optional<Place>();
    if (!next) return Error::system("changes.open", "opening the directory '{}'", printable(step));
    open_.push_back({std::move(step), std::move(next)});
  }
  return std::optional(Place{open_.empty() ? root_ : open_.back().directory.get(), name});
}

}  // namespace saw::sandbox
