#include "release/trust.h"

#include "base/bytes.h"
#include "policy/reader.h"
#include "release/names.h"

namespace saw::release {

using policy::place_of;
using policy::yaml::Node;

// What is missing is told where it is read.
constexpr policy::Field kKeyFields[] = {{.key = "public", .doc = "the public key"},
                                        {.key = "owner", .doc = "a person; by default the key's name"}};
constexpr policy::Object kKey{"a key", kKeyFields};
constexpr policy::Field kChannelFields[] = {
    {.key = "signers", .doc = "names of keys"},
    {.key = "authors", .doc = "names of keys"},
    {.key = "revokers", .doc = "names of keys"},
    {.key = "threshold", .doc = "different owners that must have signed"}};
constexpr policy::Object kChannel{"a channel", kChannelFields};
constexpr policy::Field kFileFields[] = {{.key = "apiVersion", .doc = "saw/v1"},
                                         {.key = "kind", .doc = "Trust"},
                                         {.key = "keys", .doc = "name → key"},
                                         {.key = "channels", .doc = "name → channel"}};
constexpr policy::Object kFile{"a trust file", kFileFields};

// Walks the tree once and collects every error; a file with any error trusts nobody.
class TrustReader {
 public:
  explicit TrustReader(std::string_view file) : reader_(file) {}

  Result<Trust> read(const Node& root) {
    if (reader_.fields(root, kFile)) {
      constant(root, "apiVersion", "saw/v1");
      constant(root, "kind", "Trust");
      if (const Node* n = required(root, "keys")) keys(*n);
      if (const Node* n = required(root, "channels")) channels(*n);
    }
    if (!reader_.failed()) return std::move(out_);
    std::string lines;
    for (const policy::Diagnostic& d : reader_.take()) lines += (lines.empty() ? "" : "\n") + d.text();
    return Error::make("trust.invalid", "{}", lines);
  }

 private:
  const Node* required(const Node& node, std::string_view name) {
    const Node* found = node.find(name);
    if (!found) reader_.error(place_of(node), "trust.missing_field", fmt::format("'{}' is required", name));
    return found;
  }
  void constant(const Node& root, std::string_view name, std::string_view value) {
    const Node* n = required(root, name);
    if (n && n->scalar != value)
      reader_.error(place_of(*n), "trust.value", fmt::format("{} must be '{}'", name, value));
  }
  bool named_map(const Node& node, std::string_view what, size_t most) {
    if (node.kind == Node::Kind::mapping && !node.members.empty() && node.members.size() <= most) return true;
    reader_.error(place_of(node), "trust.type", fmt::format("{} must be a mapping of 1 to {}", what, most));
    return false;
  }
  bool good_name(const Node& key, std::string_view what) {
    if (is_channel_name(key.scalar)) return true;
    reader_.error(
        place_of(key), "trust.name",
        fmt::format("'{}' is no name of {}: a-z, 0-9 and '-', a letter first", printable(key.scalar), what));
    return false;
  }

  void keys(const Node& node) {
    if (!named_map(node, "keys", Trust::kMaxKeys)) return;
    for (const auto& [name, value] : node.members)
      if (good_name(name, "a key") && reader_.fields(value, kKey)) key(name.scalar, value);
  }

  void key(const std::string& name, const Node& value) {
    const Node* text = required(value, "public");
    if (!text) return;
    auto parsed = PublicKey::from_text(text->scalar);
    if (!parsed) return reader_.error(place_of(*text), parsed.error().code, parsed.error().message);
    std::string owner = name;
    if (const Node* n = value.find("owner")) owner = reader_.text(*n, "owner").value_or("");
    const std::string id = parsed->id();
    const bool is_new = out_.keys_.emplace(id, TrustedKey{name, std::move(owner), std::move(*parsed)}).second;
    if (!is_new)
      reader_.error(place_of(*text), "trust.duplicate_key",
                    "this key stands here under another name already");
    ids_[name] = id;
  }

  void channels(const Node& node) {
    if (!named_map(node, "channels", Trust::kMaxChannels)) return;
    for (const auto& [name, value] : node.members)
      if (good_name(name, "a channel") && reader_.fields(value, kChannel)) channel(name.scalar, value);
  }

  void channel(const std::string& name, const Node& value) {
    ChannelTrust& out = out_.channels_[name];
    const Node* signers = required(value, "signers");
    if (signers) out.signers = key_list(*signers, "signers");
    if (const Node* n = value.find("authors")) out.authors = key_list(*n, "authors");
    if (const Node* n = value.find("revokers")) out.revokers = key_list(*n, "revokers");
    std::set<std::string> owners;
    for (const std::string& id : out.signers)
      if (const TrustedKey* k = out_.key(id)) owners.insert(k->owner);
    const Node* threshold = required(value, "threshold");
    if (!threshold) return;
    out.threshold = reader_.number(*threshold, "threshold", {1, Trust::kMaxKeys}).value_or(1);
    if (out.threshold > owners.size())
      reader_.error(place_of(*threshold), "trust.threshold",
                    fmt::format("{} signatures are asked for, and the signers are {} different owners",
                                out.threshold, owners.size()));
  }

  std::set<std::string> key_list(const Node& node, std::string_view what) {
    std::set<std::string> out;
    const auto* items = reader_.list(node, what);
    if (!items) return out;
    for (const Node& item : *items) {
      const auto found = ids_.find(item.scalar);
      if (item.kind != Node::Kind::scalar || found == ids_.end())
        reader_.error(place_of(item), "trust.unknown_key",
                      fmt::format("'{}' is none of the names under 'keys'", printable(item.scalar)));
      else if (!out.insert(found->second).second)
        reader_.error(place_of(item), "trust.duplicate_key", "the key is listed twice");
    }
    return out;
  }

  policy::Reader reader_;
  std::map<std::string, std::string, std::less<>> ids_;  // name → id
  Trust out_;
};

Result<Trust> Trust::parse(std::string_view yaml, std::string_view file) {
  if (yaml.size() > kMaxBytes)
    return Error::make("trust.invalid", "{} has more than {} bytes", file, kMaxBytes);
  auto tree = policy::yaml::parse(yaml, file);
  if (!tree)
    return Error::make("trust.invalid", "{}",
                       tree.error().empty() ? "not YAML" : tree.error().front().text());
  return TrustReader(file).read(*tree);
}

const TrustedKey* Trust::key(std::string_view id) const {
  const auto found = keys_.find(id);
  return found == keys_.end() ? nullptr : &found->second;
}
const ChannelTrust* Trust::channel(std::string_view name) const {
  const auto found = channels_.find(name);
  return found == channels_.end() ? nullptr : &found->second;
}

}  // namespace saw::release
