#include "sandbox/storage_layers.h"

#include <charconv>
#include <filesystem>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/wire.h"
#include "os/mount.h"
#include "os/overlay_marks.h"

namespace saw::sandbox {
namespace {

constexpr std::string_view kPrefix = "l-";
constexpr size_t kMaxWays = 64u << 10;

struct Way {
  std::string path;
  uint32_t mode = 0755;
  template <class A> void members(A& a) { a(path, mode); }
};
struct Ways {
  std::vector<Way> list;
  template <class A> void members(A& a) { a(list); }
};

// The mode of a directory in the first layer that has the name at all; nullopt if that is no directory.
std::optional<uint32_t> topmost_mode(const std::vector<std::string>& layers, const std::string& path) {
  for (const std::string& layer : layers) {
    auto top = Fd::open(layer, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!top) return std::nullopt;
    Fd found(os::open_path_itself(top->get(), path.c_str()));
    struct stat info{};
    if (found.get() == -ENOENT) continue;
    if (!found || ::fstat(found.get(), &info) != 0 || !S_ISDIR(info.st_mode)) return std::nullopt;
    return info.st_mode & 07777;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<std::string>> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(directory, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    names.push_back(it->path().filename().string());
  if (error)
    return std::unexpected(
        Error::from_errno("storage.list", error.value(), fmt::format("listing '{}'", directory)));
  return names;
}

std::optional<uint32_t> LayerStore::index_of(std::string_view layer) {
  const size_t dash = layer.rfind('-');
  if (!layer.starts_with(kPrefix) || dash == layer.npos || dash < kPrefix.size()) return std::nullopt;
  for (char c : layer)
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return std::nullopt;
  uint32_t index = 0;
  const char* end = layer.data() + layer.size();
  auto [stop, error] = std::from_chars(layer.data() + dash + 1, end, index);
  if (error != std::errc() || stop != end) return std::nullopt;
  return index;
}

Result<LayerStore> LayerStore::open(std::string directory, std::optional<uint32_t> first_agent_uid) {
  SAW_TRY(make_directories(directory, 0700));
  Fd fd = SAW_TRY(Fd::open(directory, O_RDONLY | O_DIRECTORY));
  return LayerStore(std::move(directory), std::move(fd), first_agent_uid);
}

Result<std::string> LayerStore::make(uint32_t index) const {
  std::string layer = fmt::format("{}-{}", random_id(kPrefix), index);
  SAW_TRY(make_directories(work(layer), 0700));
  SAW_TRY(make_directories(files(layer), 0755));
  if (first_agent_uid_) {
    const uint32_t uid = *first_agent_uid_ + index;
    if (::lchown(files(layer).c_str(), uid, uid) != 0)
      return Error::system("storage.owner", "giving '{}' to uid {}", files(layer), uid);
  }
  return layer;
}

Result<> LayerStore::sweep(const std::set<std::string>& used, Trash& trash,
                           std::optional<uint32_t> index) const {
  for (const std::string& name : SAW_TRY(names_in(directory_)))
    if (!used.contains(name) && (!index || index_of(name) == index)) SAW_TRY(trash.take(fd_.get(), name));
  return {};
}

Result<bool> LayerStore::is_empty(const std::string& layer) const {
  std::map<std::string, uint32_t> ways;
  if (auto bytes = read_file(this->ways(layer), kMaxWays))
    for (const Way& way : SAW_TRY(wire::decode_struct<Ways>(*bytes)).list) ways[way.path] = way.mode;
  const auto marks = first_agent_uid_ ? os::MarkNamespace::trusted : os::MarkNamespace::user;
  // Ends at the first that is not one of them, so it is as short as they are few. Links are not followed.
  const std::string top = files(layer);
  std::error_code error;
  for (auto at = std::filesystem::recursive_directory_iterator(top, error);
       !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    struct stat info{};
    const std::string path = at->path().string();
    const auto way = ways.find(path.substr(top.size()));
    if (way == ways.end() || ::lstat(path.c_str(), &info) != 0 || info.st_mode != (way->second | S_IFDIR))
      return false;
    // One that was removed and made again shows nothing of the layers below: it deletes what is in them.
    const Fd directory = SAW_TRY(Fd::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (os::is_opaque(directory.get(), marks)) return false;
  }
  if (error)
    return std::unexpected(
        Error::from_errno("storage.list", error.value(), fmt::format("looking into layer '{}'", layer)));
  return true;
}

Result<> LayerStore::make_ways(const std::string& layer, const std::vector<std::string>& below,
                               const std::vector<std::string>& paths) const {
  Ways made;
  if (auto bytes = read_file(ways(layer), kMaxWays)) made = SAW_TRY(wire::decode_struct<Ways>(*bytes));
  const size_t before = made.list.size();
  const uint32_t uid = first_agent_uid_ ? *first_agent_uid_ + index_of(layer).value_or(0) : 0;
  Fd top = SAW_TRY(Fd::open(files(layer), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  for (const std::string& path : paths)
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      const std::string way = path.substr(0, slash);
      const auto mode = topmost_mode(below, way);
      struct stat info{};
      const bool there = ::fstatat(top.get(), way.c_str() + 1, &info, AT_SYMLINK_NOFOLLOW) == 0;
      if (!mode || (there && !S_ISDIR(info.st_mode))) break;
      if (!there) {
        Fd fresh(os::make_path(top.get(), way.c_str(), 0700, {uid, uid}));
        if (!fresh || ::chmod(fmt::format("/proc/self/fd/{}", fresh.get()).c_str(), *mode) != 0)
          return Error::system("storage.ways", "making '{}' in a new layer", way);
        made.list.push_back({way, *mode});
      }
      if (slash == path.npos) break;
    }
  if (made.list.size() == before) return {};
  return replace_file(ways(layer), wire::encode_struct(made), 0600, Durability::none);
}

}  // namespace saw::sandbox
