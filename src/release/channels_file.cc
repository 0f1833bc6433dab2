#include "release/channels_file.h"

#include <algorithm>

#include "policy/reader.h"
#include "release/names.h"

namespace saw::release {
namespace {

// What is missing is told where it is read.
constexpr policy::Field kChannelFields[] = {{.key = "tree", .doc = "directory of the release tree"}};
constexpr policy::Object kChannel{"a channel", kChannelFields};
constexpr policy::Field kFileFields[] = {{.key = "apiVersion", .doc = "saw/v1"},
                                         {.key = "kind", .doc = "Channels"},
                                         {.key = "trust", .doc = "path of the trust file"},
                                         {.key = "channels", .doc = "name → channel"}};
constexpr policy::Object kFile{"a channels file", kFileFields};

using policy::place_of;
using policy::yaml::Node;

std::string path(policy::Reader& reader, const Node& parent, std::string_view name) {
  const Node* node = parent.find(name);
  if (!node) {
    reader.error(place_of(parent), "channels.missing_field", fmt::format("'{}' is required", name));
    return {};
  }
  const std::string text = reader.text(*node, name).value_or("");
  if (!text.starts_with('/') || text.contains('\0'))
    reader.error(place_of(*node), "channels.path", fmt::format("'{}' must be an absolute path", name));
  return text;
}

void constant(policy::Reader& reader, const Node& root, std::string_view name, std::string_view value) {
  const Node* node = root.find(name);
  if (!node || node->scalar != value)
    reader.error(place_of(node ? *node : root), "channels.value",
                 fmt::format("{} must be '{}'", name, value));
}

void channels(policy::Reader& reader, const Node& root, ChannelsFile& out) {
  const Node* list = root.find("channels");
  if (!list || list->kind != Node::Kind::mapping || list->members.empty() ||
      list->members.size() > ChannelsFile::kMaxChannels)
    return reader.error(place_of(list ? *list : root), "channels.type",
                        fmt::format("'channels' is a mapping of 1 to {}", ChannelsFile::kMaxChannels));
  for (const auto& [name, value] : list->members) {
    if (!is_channel_name(name.scalar))
      reader.error(place_of(name), "channels.name", "a channel's name: a-z, 0-9 and '-', a letter first");
    else if (reader.fields(value, kChannel))
      out.trees[name.scalar] = path(reader, value, "tree");
  }
}

}  // namespace

Result<ChannelsFile> ChannelsFile::parse(std::string_view yaml, std::string_view file) {
  if (yaml.size() > kMaxBytes)
    return Error::make("channels.invalid", "{} has more than {} bytes", file, kMaxBytes);
  const auto tree = policy::yaml::parse(yaml, file);
  if (!tree)
    return Error::make("channels.invalid", "{}",
                       tree.error().empty() ? "not YAML" : tree.error().front().text());
  policy::Reader reader(file);
  ChannelsFile out;
  if (reader.fields(*tree, kFile)) {
    constant(reader, *tree, "apiVersion", "saw/v1");
    constant(reader, *tree, "kind", "Channels");
    out.trust = path(reader, *tree, "trust");
    channels(reader, *tree, out);
  }
  if (!reader.failed()) return out;
  std::string lines;
  for (const policy::Diagnostic& d : reader.take()) lines += (lines.empty() ? "" : "\n") + d.text();
  return Error::make("channels.invalid", "{}", lines);
}

}  // namespace saw::release
