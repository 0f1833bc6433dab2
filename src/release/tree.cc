#include "release/tree.h"

#include <algorithm>

#include "base/bytes.h"
#include "release/envelope.h"
#include "release/names.h"

namespace saw::release {
namespace {

constexpr std::string_view kCurrentPrefix = "../../releases/";

// A file or directory that is not what it should be is a trick until shown otherwise.
std::unexpected<Error> trick(const Error& error) {
  return Error::make("release.path_trick", "{}", error.message);
}

Result<std::optional<std::string>> optional_file(const Fd& directory, const std::string& name, size_t limit) {
  auto file = read_file_at(directory, name, limit);
  if (!file) return trick(file.error());
  return file;
}

// From a directory that need not be there.
Result<std::optional<std::string>> file_in(const Fd& directory, const std::string& sub,
                                           const std::string& name, size_t limit) {
  auto inner = open_directory_at(directory, sub);
  if (!inner && inner.error().os_errno == ENOENT) return std::optional<std::string>();
  if (!inner) return trick(inner.error());
  return optional_file(*inner, name, limit);
}

}  // namespace

Result<FlatDirectory> read_release(const Fd& directory) {
  auto found = read_flat_directory(
      directory, {.files = Manifest::kMaxMembers + 2, .bytes = ReleaseTree::kMaxReleaseBytes});
  if (!found) return trick(found.error());
  return found;
}

Result<ReleaseTree> ReleaseTree::open(const std::string& root) {
  return ReleaseTree(SAW_TRY(open_directory(root), "opening the tree of releases"));
}

Result<Fd> ReleaseTree::channel_directory(std::string_view channel) const {
  if (!is_channel_name(channel))
    return Error::make("release.no_channel", "'{}' is not the name of a channel", printable(channel));
  auto channels = open_directory_at(root_, "channels");
  auto directory = channels ? open_directory_at(*channels, std::string(channel)) : std::move(channels);
  if (directory) return directory;
  if (directory.error().os_errno == ENOENT)
    return Error::make("release.no_channel", "nothing is published on channel '{}'", channel);
  return trick(directory.error());
}

Result<FlatDirectory> ReleaseTree::read_version(const std::string& version) const {
  if (!is_version(version))
    return Error::make("release.path_trick", "'{}' is not a version of a release", printable(version));
  auto releases = open_directory_at(root_, "releases");
  auto directory = releases ? open_directory_at(*releases, version) : std::move(releases);
  if (!directory && directory.error().os_errno == ENOENT)
    return Error::make("release.missing_member", "there is no release {}", version);
  if (!directory) return trick(directory.error());
  return read_release(*directory);
}

Result<std::optional<std::string>> ReleaseTree::read_revocations_file(std::string_view channel) const {
  auto directory = channel_directory(channel);
  if (!directory && directory.error().code == "release.no_channel") return std::optional<std::string>();
  if (!directory) return std::unexpected(std::move(directory).error());
  return optional_file(*directory, "revocations.json", Envelope::kMaxBytes);
}

Result<FoundChannel> ReleaseTree::read(std::string_view channel) const {
  const Fd directory = SAW_TRY(channel_directory(channel));
  auto link = read_link_at(directory, "current");
  if (!link) return trick(link.error());
  if (!*link) return Error::make("release.no_channel", "nothing is published on channel '{}'", channel);
  const std::string& target = **link;
  FoundChannel out;
  out.version = target.starts_with(kCurrentPrefix) ? target.substr(kCurrentPrefix.size()) : "";
  if (!is_version(out.version))
    return Error::make("release.path_trick", "'current' leads to '{}', not to a release", printable(target));
  out.release = SAW_TRY(read_version(out.version));
  auto pointer = SAW_TRY(file_in(directory, "pointers", out.version + ".json", Pointer::kMaxBytes));
  if (!pointer) return Error::make("release.wrong_pointer", "release {} has no pointer here", out.version);
  out.pointer = std::move(*pointer);
  out.rollback = SAW_TRY(file_in(directory, "rollbacks", out.version + ".json", Envelope::kMaxBytes));
  out.revocations = SAW_TRY(optional_file(directory, "revocations.json", Envelope::kMaxBytes));
  return out;
}

ChannelState published_state(const FoundChannel& found) {
  ChannelState state;
  const auto manifest_file = found.release.files.find(std::string(kManifestFile));
  if (manifest_file == found.release.files.end()) return state;
  state.release = digest_text(sha256(manifest_file->second));
  if (auto manifest = Manifest::parse(manifest_file->second)) state.revision = manifest->revision;
  if (!found.rollback) return state;
  const auto envelope = Envelope::parse(*found.rollback, kRollbackType, "the rollback order");
  const auto order = envelope ? RollbackOrder::parse(envelope->payload)
                              : Result<RollbackOrder>(std::unexpected(envelope.error()));
  if (order && order->to == state.release) state.revision = std::max(state.revision, order->revision);
  return state;
}

}  // namespace saw::release
