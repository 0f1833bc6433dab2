#include "sandbox/storage_trash.h"

#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/file.h"

namespace saw::sandbox {
namespace {

constexpr size_t kNamesAtOnce = 250;
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

using Listing = std::unique_ptr<DIR, int (*)(DIR*)>;

// At most kNamesAtOnce names below an open directory.
Result<std::vector<std::string>> some_names(int directory) {
  Listing listing(::fdopendir(::openat(directory, ".", kOpenDirectory)), ::closedir);
  if (!listing) return Error::system("storage.list", "listing a directory to be removed");
  std::vector<std::string> names;
  while (names.size() < kNamesAtOnce) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    if (std::string_view name = entry->d_name; name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return Error::system("storage.list", "listing a directory to be removed");
  return names;
}

// An agent may have taken every permission from its directories; as their owner we give them back. By
// descriptor, since chmod by name would follow a link.
void make_accessible(int parent, const std::string& name) {
  Fd path(::openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (path) ::chmod(fmt::format("/proc/self/fd/{}", path.get()).c_str(), 0700);
}

}  // namespace

Result<Trash> Trash::open(const std::string& path) {
  SAW_TRY(make_directories(path, 0700));
  return Trash(SAW_TRY(Fd::open(path, kOpenDirectory)));
}

Result<> Trash::take(int parent, const std::string& name) {
  const std::string target = random_id("t-");
  if (::renameat(parent, name.c_str(), directory_.get(), target.c_str()) == 0 || errno == ENOENT) return {};
  if (errno == EACCES) {
    make_accessible(parent, name);
    if (::renameat(parent, name.c_str(), directory_.get(), target.c_str()) == 0) return {};
  }
  return Error::system("storage.remove", "moving '{}' to the trash", printable(name));
}

Result<> Trash::discard(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM)
    return Error::system("storage.remove", "removing '{}'", printable(name));
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) return {};
  return take(parent, name);
}

Result<> Trash::empty_directory(const std::string& name, size_t& budget) {
  Fd directory(::openat(directory_.get(), name.c_str(), kOpenDirectory));
  if (!directory && errno == EACCES) {
    make_accessible(directory_.get(), name);
    directory = Fd(::openat(directory_.get(), name.c_str(), kOpenDirectory));
  }
  if (!directory) return Error::system("storage.remove", "opening '{}' to empty it", printable(name));
  if (::faccessat(directory_.get(), name.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    make_accessible(directory_.get(), name);
  while (budget > 0) {
    std::vector<std::string> names = SAW_TRY(some_names(directory.get()));
    if (names.empty()) break;
    for (const std::string& each : names) SAW_TRY(discard(directory.get(), each));
    budget -= std::min(budget, names.size());
  }
  return {};
}

Result<bool> Trash::empty_some(size_t budget) {
  while (budget > 0) {
    std::vector<std::string> names = SAW_TRY(some_names(directory_.get()));
    if (names.empty()) return false;
    for (const std::string& name : names) {
      if (budget == 0) return true;
      --budget;
      if (::unlinkat(directory_.get(), name.c_str(), 0) == 0) continue;
      if (errno != EISDIR && errno != EPERM)
        return Error::system("storage.remove", "removing '{}' from the trash", printable(name));
      if (::unlinkat(directory_.get(), name.c_str(), AT_REMOVEDIR) == 0) continue;
      SAW_TRY(empty_directory(name, budget));
      if (::unlinkat(directory_.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOTEMPTY &&
          errno != EEXIST)
        return Error::system("storage.remove", "removing '{}' from the trash", printable(name));
    }
  }
  return true;
}

}  // namespace saw::sandbox
