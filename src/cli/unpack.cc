#include "cli/unpack.h"

#include <algorithm>
#include <filesystem>
#include <ranges>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"

namespace saw::cli {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr const char* kContent = "content";  // below the staging directory

}  // namespace

Unpacker::Unpacker(Unpacker&& other) noexcept
    : directory_(std::move(other.directory_)),
      final_name_(std::move(other.final_name_)),
      top_(std::move(other.top_)),
      staging_(std::exchange(other.staging_, {})),
      staging_fd_(std::move(other.staging_fd_)),
      file_(std::move(other.file_)),
      directories_(std::move(other.directories_)),
      files_(other.files_),
      bytes_(other.bytes_) {}

Unpacker::~Unpacker() {
  if (staging_.empty()) return;
  // A directory that may not be written cannot be emptied either; those above it come first.
  for (const Mode& each : directories_) {
    std::string name;
    auto parent = open_parent(each.path, name);
    if (!parent || ::fchmodat(parent->get(), name.c_str(), 0700, 0) != 0)
      continue;  // remove_all does what it can without
  }
  std::error_code ignored;
  std::filesystem::remove_all(staging_, ignored);
}

Result<Unpacker> Unpacker::create(const std::string& target, const std::string& name) {
  Unpacker out;
  out.top_ = name;
  std::string path = target;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    out.directory_ = path;
    out.final_name_ = name;
  } else {
    const size_t slash = path.rfind('/');
    out.directory_ = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    out.final_name_ = slash == path.npos ? path : path.substr(slash + 1);
  }
  if (out.final_name_.empty() || out.final_name_ == "." || out.final_name_ == "..")
    return Error::make("copy.target", "'{}' is not the name of something new", printable(target));
  const std::string final_path = out.path();
  if (::lstat(final_path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return Error::make("copy.exists", "'{}' exists already; directories are not merged",
                       printable(final_path));
  out.staging_ = out.directory_ + "/" + random_id(".saw-cp-");
  if (::mkdir(out.staging_.c_str(), 0700) != 0) {
    const auto error = Error::system("copy.target", "making a directory in '{}'", printable(out.directory_));
    out.staging_.clear();
    return error;
  }
  out.staging_fd_ = SAW_TRY(Fd::open(out.staging_, kOpenDirectory));
  return out;
}

// The archive's own name for what was asked for becomes ours; everything in it lies below that.
Result<std::string> Unpacker::below_top(const std::string& path) const {
  if (path == top_) return std::string(kContent);
  if (path.starts_with(top_ + "/")) return kContent + path.substr(top_.size());
  return Error::make("tar.refused", "the archive holds '{}', which was not asked for", printable(path));
}

Result<Fd> Unpacker::open_parent(const std::string& path, std::string& name) const {
  Fd at = SAW_TRY(staging_fd_.duplicate());
  std::string_view rest = path;
  for (size_t slash; (slash = rest.find('/')) != rest.npos; rest.remove_prefix(slash + 1)) {
    Fd next(::openat(at.get(), std::string(rest.substr(0, slash)).c_str(), kOpenDirectory));
    if (!next) return Error::system("copy.write", "going into '{}'", printable(path));
    at = std::move(next);
  }
  name = rest;
  return at;
}

Result<> Unpacker::begin(const TarEntry& entry) {
  if (entry.path.empty()) return {};  // "." of an archive that was made in the directory
  const std::string path = SAW_TRY(below_top(entry.path));
  std::string name;
  Fd parent = SAW_TRY(open_parent(path, name));
  int failed = 0;
  switch (entry.kind) {
    case TarEntry::Kind::directory:
      failed = ::mkdirat(parent.get(), name.c_str(), 0700);
      directories_.push_back({path, entry.mode});
      break;
    case TarEntry::Kind::symlink:
      failed = ::symlinkat(entry.link.c_str(), parent.get(), name.c_str());
      break;
    case TarEntry::Kind::hardlink: {
      std::string from;
      const std::string source = SAW_TRY(below_top(entry.link));
      Fd source_parent = SAW_TRY(open_parent(source, from));
      // A symbolic link was judged where it lies: in another directory its ".." lead elsewhere.
      if (struct stat info{}; ::fstatat(source_parent.get(), from.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                              !S_ISREG(info.st_mode))
        return Error::make("tar.refused", "'{}' is a hard link to what is not a file", printable(entry.path));
      failed = ::linkat(source_parent.get(), from.c_str(), parent.get(), name.c_str(), 0);
      break;
    }
    case TarEntry::Kind::file:
      file_ = Fd(::openat(parent.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          entry.mode));
      failed = file_ ? 0 : -1;
      ++files_;
      break;
  }
  if (failed != 0) return Error::system("copy.write", "making '{}'", printable(entry.path));
  return {};
}

Result<> Unpacker::data(std::string_view bytes) {
  bytes_ += bytes.size();
  return write_all(file_, bytes);
}

Result<> Unpacker::end() {
  file_.reset();
  return {};
}

Result<> Unpacker::set_mode(const Fd& directory, const Mode& of) {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (!directory || ::fchmod(directory.get(), of.mode & ~mask) != 0)
    return Error::system("copy.write", "setting the mode of '{}'", printable(of.path));
  return {};
}

Result<> Unpacker::finish() {
  struct stat info{};
  if (::fstatat(staging_fd_.get(), kContent, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::make("tar.malformed", "the archive is empty");
  for (const Mode& each : std::views::reverse(directories_)) {
    std::string name;
    if (each.path == kContent) continue;
    Fd parent = SAW_TRY(open_parent(each.path, name));
    SAW_TRY(set_mode(Fd(::openat(parent.get(), name.c_str(), kOpenDirectory)), each));
  }
  Fd into = SAW_TRY(Fd::open(directory_, O_RDONLY | O_DIRECTORY));
  // A directory only takes the place of nothing, a file that of a file: rename(2) would replace an empty
  // directory by a directory.
  const bool directory = S_ISDIR(info.st_mode);
  if (directory && ::fstatat(into.get(), final_name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
    return Error::make("copy.exists", "'{}' exists already", printable(path()));
  // A directory without write permission cannot be moved: its own mode comes after that.
  const Fd top(directory ? ::openat(staging_fd_.get(), kContent, kOpenDirectory) : -1);
  if (::renameat(staging_fd_.get(), kContent, into.get(), final_name_.c_str()) != 0)
    return Error::system("copy.write", "moving what was copied to '{}'", printable(path()));
  const auto itself = std::ranges::find(directories_, kContent, &Mode::path);
  return itself == directories_.end() ? Result<>() : set_mode(top, *itself);
}

}  // namespace saw::cli
