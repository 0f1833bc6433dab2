#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock_file.h"
#include "release/names.h"
#include "release/tree.h"

namespace saw::release {
namespace {

constexpr unsigned kDirectoryMode = 0755, kFileMode = 0644, kReleaseFileMode = 0444;

std::string channel_path(const std::string& root, const std::string& channel) {
  return root + "/channels/" + channel;
}

Result<> flush_directory(const std::string& path) {
  const Fd fd = SAW_TRY(open_directory(path));
  if (::fsync(fd.get()) != 0) return Error::system("io.fsync", "flushing directory '{}'", path);
  return {};
}

// One writer at a time; readers need no lock. Beside the tree's content, and never committed to git.
Result<Fd> lock_tree(const std::string& root) {
  SAW_TRY(make_directories(root + "/releases", kDirectoryMode));
  return SAW_TRY(lock_file(root + "/.lock"), "somebody else publishes here");
}

Result<> write_directory(const std::string& path, const FlatDirectory& release) {
  if (::mkdir(path.c_str(), kDirectoryMode) != 0) return Error::system("io.mkdir", "creating '{}'", path);
  for (const auto& [file, content] : release.files)
    SAW_TRY(replace_file(path + "/" + file, content, kReleaseFileMode, Durability::fsync));
  return flush_directory(path);
}

// The release's directory, whole, under its final name. There already with the same content: nothing to do.
Result<> put_release(const std::string& root, const FlatDirectory& release, const std::string& version) {
  const std::string final_path = root + "/releases/" + version;
  if (::access(final_path.c_str(), F_OK) == 0) {
    const ReleaseTree tree = SAW_TRY(ReleaseTree::open(root));
    const FlatDirectory there = SAW_TRY(tree.read_version(version));
    if (there.files == release.files && there.odd.empty()) return {};
    return Error::make("release.immutable",
                       "release {} is there already with other content; a release never changes, so take the "
                       "next version",
                       version);
  }
  const std::string temporary = root + "/releases/" + random_id(".new-");
  auto written = write_directory(temporary, release);
  if (written &&
      ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, final_path.c_str(), RENAME_NOREPLACE) != 0)
    written = Error::system("io.rename", "giving release {} its name", version);
  if (!written) {
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    return written;
  }
  return flush_directory(root + "/releases");
}

Result<> put_pointer(const std::string& root, const Pointer& pointer) {
  const std::string directory = channel_path(root, pointer.channel) + "/pointers";
  SAW_TRY(make_directories(directory, kDirectoryMode));
  return replace_file(directory + "/" + pointer.version + ".json", pointer.text(), kFileMode,
                      Durability::fsync);
}

Result<> switch_channel(const std::string& root, const std::string& channel, const std::string& version) {
  const std::string directory = channel_path(root, channel);
  const std::string temporary = directory + "/" + random_id(".current-");
  if (::symlink(("../../releases/" + version).c_str(), temporary.c_str()) != 0)
    return Error::system("io.symlink", "preparing the switch of channel '{}'", channel);
  if (::rename(temporary.c_str(), (directory + "/current").c_str()) != 0) {
    const auto failed = Error::system("io.rename", "switching channel '{}'", channel);
    ::unlink(temporary.c_str());
    return failed;
  }
  return flush_directory(directory);
}

}  // namespace

Result<> publish(const std::string& root, const FlatDirectory& release, const Verified& verified) {
  const Fd lock = SAW_TRY(lock_tree(root));
  const Manifest& manifest = verified.manifest;
  SAW_TRY(put_release(root, release, manifest.version));
  SAW_TRY(put_pointer(root, {manifest.channel, manifest.version, verified.digest}));
  return switch_channel(root, manifest.channel, manifest.version);
}

Result<> roll_back(const std::string& root, const RollbackOrder& order, std::string_view envelope) {
  const Fd lock = SAW_TRY(lock_tree(root));
  const std::string directory = channel_path(root, order.channel) + "/rollbacks";
  SAW_TRY(make_directories(directory, kDirectoryMode));
  SAW_TRY(replace_file(directory + "/" + order.to_version + ".json", envelope, kFileMode, Durability::fsync));
  SAW_TRY(put_pointer(root, {order.channel, order.to_version, order.to}));
  return switch_channel(root, order.channel, order.to_version);
}

Result<> put_revocations(const std::string& root, const Revocations& list, std::string_view envelope) {
  const Fd lock = SAW_TRY(lock_tree(root));
  const std::string directory = channel_path(root, list.channel);
  SAW_TRY(make_directories(directory, kDirectoryMode));
  return replace_file(directory + "/revocations.json", envelope, kFileMode, Durability::fsync);
}

}  // namespace saw::release
