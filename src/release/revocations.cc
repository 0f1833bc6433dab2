#include "release/revocations.h"

#include <algorithm>

#include "release/members.h"
#include "release/names.h"

namespace saw::release {
namespace {

constexpr std::string_view kWhat = "the revocation list";
using Entries = std::map<std::string, std::string>;

Result<Entries> read_entries(const Json& list) {
  Entries out;
  for (const Json& item : list) {
    std::string id, why;
    Members one(item, kWhat);
    one.text("id", id, is_digest).text("why", why, any_text);
    SAW_TRY(one.complete());
    if (!out.emplace(id, why).second)
      return Error::make("release.malformed", "{} takes back {} twice", kWhat, id);
  }
  return out;
}

Json to_json(const Entries& entries) {
  Json list = Json::array();
  for (const auto& [id, why] : entries) list.push_back({{"id", id}, {"why", why}});
  return list;
}

bool covers(const Entries& now, const Entries& before) {
  return std::ranges::all_of(before, [&](const auto& entry) { return now.contains(entry.first); });
}

std::set<std::string> names_of(const Entries& entries) {
  std::set<std::string> out;
  for (const auto& [id, why] : entries) out.insert(id);
  return out;
}

}  // namespace

Result<Revocations> Revocations::parse(std::string_view text) {
  const Json json = SAW_TRY(parse_strict(text, kWhat, kMaxBytes));
  Revocations out;
  Members all(json, kWhat);
  all.constant("apiVersion", "saw/v1")
      .constant("kind", "Revocations")
      .text("channel", out.channel, is_channel_name)
      .number("epoch", out.epoch, 1, kMaxCount);
  const Json* keys = all.list("keys", kMaxEntries);
  const Json* releases = all.list("releases", kMaxEntries);
  SAW_TRY(all.complete());
  out.keys = SAW_TRY(read_entries(*keys));
  out.releases = SAW_TRY(read_entries(*releases));
  return out;
}

std::string Revocations::text() const {
  return Json{{"apiVersion", "saw/v1"}, {"kind", "Revocations"}, {"channel", channel},
              {"epoch", epoch},         {"keys", to_json(keys)}, {"releases", to_json(releases)}}
             .dump(2, ' ', true, Json::error_handler_t::replace) +
         "\n";
}

Result<Revocations> read_revocations(std::string_view envelope_text, const Trust& trust,
                                     std::string_view channel, const Revocations& known) {
  const Envelope envelope = SAW_TRY(Envelope::parse(envelope_text, kRevocationsType, kWhat));
  const ChannelTrust* channel_trust = trust.channel(channel);
  if (!channel_trust)
    return Error::make("release.unknown_channel", "the trust file has no channel '{}'", channel);
  std::set<std::string> allowed = channel_trust->signers;
  allowed.insert(channel_trust->revokers.begin(), channel_trust->revokers.end());
  const std::set<std::string> revoked = names_of(known.keys);
  SAW_TRY(check_signatures(envelope, {trust, channel, allowed, revoked}), kWhat);
  Revocations now = SAW_TRY(Revocations::parse(envelope.payload));
  if (now.channel != channel)
    return Error::make("release.wrong_channel", "{} is of channel '{}'", kWhat, now.channel);
  if (now.epoch < known.epoch || (now.epoch == known.epoch && now != known))
    return Error::make("release.revocations_older", "{} has epoch {}; one of epoch {} is known already",
                       kWhat, now.epoch, known.epoch);
  if (!covers(now.keys, known.keys) || !covers(now.releases, known.releases))
    return Error::make("release.revocations_shrink",
                       "{} does not take back everything that an earlier one does", kWhat);
  return now;
}

}  // namespace saw::release
