#include "release/manifest.h"

#include "release/members.h"
#include "release/names.h"

namespace saw::release {
namespace {

constexpr std::string_view kWhat = "the manifest";

Result<std::vector<std::string>> read_keys(const Json& list) {
  std::vector<std::string> keys;
  for (const Json& item : list) {
    if (!item.is_string() || !is_digest(item.get_ref<const std::string&>()))
      return Error::make("release.malformed", "{}: 'keys' lists ids of keys", kWhat);
    keys.push_back(item.get<std::string>());
  }
  return keys;
}

Result<std::map<std::string, Member>> read_members(const Json& object) {
  std::map<std::string, Member> out;
  if (object.size() > Manifest::kMaxMembers)
    return Error::make("release.malformed", "{} lists more than {} members", kWhat, Manifest::kMaxMembers);
  for (const auto& [file, value] : object.items()) {
    if (!is_member_name(file) || file == kManifestFile || file == kSignatureFile)
      return Error::make("release.path_trick", "{}: a member may not have this name", kWhat);
    Member member;
    Members one(value, "a member of the manifest");
    one.text("sha256", member.sha256, is_digest).number("size", member.size, 0, Manifest::kMaxMemberBytes);
    SAW_TRY(one.complete());
    out.emplace(file, std::move(member));
  }
  if (!out.contains(std::string(kPolicyFile)))
    return Error::make("release.missing_member", "{} does not list {}", kWhat, kPolicyFile);
  return out;
}

}  // namespace

Result<Manifest> Manifest::parse(std::string_view text) {
  const Json json = SAW_TRY(parse_strict(text, kWhat, kMaxBytes));
  Manifest out;
  Members all(json, kWhat);
  all.constant("apiVersion", "saw/v1")
      .constant("kind", "Release")
      .text("version", out.version, is_version)
      .text("channel", out.channel, is_channel_name)
      .number("revision", out.revision, 1, kMaxCount)
      .time("not_before", out.not_before)
      .time("expires_at", out.expires_at)
      .optional_text("author", out.author, is_digest)
      .number("threshold", out.threshold, 1, kMaxKeys);
  const Json* keys = all.list("keys", kMaxKeys);
  const Json* members = all.object("members");
  SAW_TRY(all.complete());
  if (out.expires_at <= out.not_before)
    return Error::make("release.malformed", "{}: 'expires_at' must be after 'not_before'", kWhat);
  out.keys = SAW_TRY(read_keys(*keys));
  out.members = SAW_TRY(read_members(*members));
  return out;
}

std::string Manifest::text() const {
  Json json = {{"apiVersion", "saw/v1"},
               {"kind", "Release"},
               {"version", version},
               {"channel", channel},
               {"revision", revision},
               {"not_before", rfc3339(not_before)},
               {"expires_at", rfc3339(expires_at)}};
  if (!author.empty()) json["author"] = author;
  json["threshold"] = threshold;
  json["keys"] = keys;
  Json list = Json::object();
  for (const auto& [file, member] : members) list[file] = {{"sha256", member.sha256}, {"size", member.size}};
  json["members"] = std::move(list);
  return json.dump(2) + "\n";
}

Result<Pointer> Pointer::parse(std::string_view text) {
  const Json json = SAW_TRY(parse_strict(text, "the release pointer", kMaxBytes));
  Pointer out;
  Members all(json, "the release pointer");
  all.text("channel", out.channel, is_channel_name)
      .text("version", out.version, is_version)
      .text("sha256", out.sha256, is_digest);
  SAW_TRY(all.complete());
  return out;
}

std::string Pointer::text() const {
  return Json{{"channel", channel}, {"version", version}, {"sha256", sha256}}.dump(2) + "\n";
}

}  // namespace saw::release
