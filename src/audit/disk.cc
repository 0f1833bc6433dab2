#include "audit/disk.h"

#include <algorithm>
#include <filesystem>
#include <future>
#include <set>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace saw::audit {
namespace {

constexpr size_t kFlushLanes = 8;
constexpr unsigned kFileMode = 0600, kDirectoryMode = 0700;

std::string parent_of(const std::string& path) {
  return path.substr(0, path.find_last_of('/'));
}

Result<> sync(const std::string& path) {
  Fd fd = SAW_TRY(Fd::open(path, O_RDONLY));
  if (::fsync(fd.get()) != 0) return Error::system("audit.disk", "flushing '{}'", path);
  return {};
}

}  // namespace

Result<> PosixDisk::replace(const std::string& path, std::string_view content, Durability durability) {
  auto written = replace_file(path, content, kFileMode, durability);
  if (written || written.error().os_errno != ENOENT) return written;
  SAW_TRY(make_directories(parent_of(path), kDirectoryMode));
  return replace_file(path, content, kFileMode, durability);
}

Result<> PosixDisk::append(const Fd& file, uint64_t offset, std::string_view bytes) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return Error::system("audit.disk", "inspecting the audit journal");
  // What is written to a file without a name is recorded nowhere.
  if (info.st_nlink == 0) return Error::make("audit.damaged", "the audit journal has been deleted");
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error::system("audit.disk", "writing {} bytes to the audit journal", bytes.size());
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  if (::fdatasync(file.get()) != 0) return Error::system("audit.disk", "flushing the audit journal");
  return {};
}

Result<> PosixDisk::flush(const std::vector<std::string>& paths, const std::string& root) {
  std::set<std::string> folders = {root};
  // Side by side: the kernel makes one flush of the device for all who wait for one.
  std::vector<std::future<Result<>>> lanes;
  for (size_t lane = 0; lane < std::min(kFlushLanes, paths.size()); ++lane)
    lanes.push_back(std::async(std::launch::async, [&paths, lane]() -> Result<> {
      for (size_t i = lane; i < paths.size(); i += kFlushLanes) SAW_TRY(sync(paths[i]));
      return {};
    }));
  Result<> flushed;
  for (auto& lane : lanes)
    if (Result<> result = lane.get(); !result) flushed = std::move(result);
  SAW_TRY(std::move(flushed));
  for (const std::string& path : paths) {
    for (std::string folder = parent_of(path); folder.size() > root.size(); folder = parent_of(folder))
      folders.insert(folder);
  }
  for (const std::string& folder : folders) SAW_TRY(sync(folder));
  return {};
}

Result<> PosixDisk::truncate(const Fd& file, uint64_t size) {
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0 || ::fdatasync(file.get()) != 0)
    return Error::system("audit.disk", "truncating the audit journal");
  return {};
}

Result<> PosixDisk::remove(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    return std::unexpected(
        Error::from_errno("audit.disk", error.value(), fmt::format("removing '{}'", path)));
  return {};
}

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(path, error), end;
  for (; !error && it != end; it.increment(error)) names.push_back(it->path().filename().string());
  return names;
}

Result<Fd> lock_file(const std::string& path) {
  Fd fd = SAW_TRY(Fd::open(path, O_RDWR | O_CREAT, kFileMode));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK)
    return Error::make("audit.locked", "another process writes to this audit log ('{}' is locked)", path);
  return Error::system("audit.disk", "locking '{}'", path);
}

}  // namespace saw::audit
