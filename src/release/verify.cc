#include "release/verify.h"

#include <algorithm>

#include "base/bytes.h"
#include "policy/projectable.h"
#include "release/envelope.h"
#include "release/names.h"

namespace saw::release {
namespace {

std::set<std::string> revoked_keys(const Revocations& revoked) {
  std::set<std::string> out;
  for (const auto& [id, why] : revoked.keys) out.insert(id);
  return out;
}

Result<const ChannelTrust*> channel_of(const Around& around) {
  const ChannelTrust* channel = around.trust.channel(around.channel);
  if (!channel)
    return Error::make("release.unknown_channel", "the trust file has no channel '{}'",
                       printable(around.channel));
  return channel;
}

Result<const std::string*> file_of(const FlatDirectory& found, std::string_view name) {
  const auto file = found.files.find(std::string(name));
  if (file == found.files.end()) return Error::make("release.missing_member", "the release has no {}", name);
  return &file->second;
}

// Two keys of one person are one voice.
Result<> check_owners(const Voices& signers, size_t threshold) {
  std::set<std::string_view> owners;
  for (const TrustedKey* key : signers)
    if (!owners.insert(key->owner).second)
      return Error::make("release.same_signer_twice", "'{}' has signed with two keys", printable(key->owner));
  if (owners.size() < threshold)
    return Error::make("release.too_few_signatures", "{} of {} signatures", owners.size(), threshold);
  return {};
}

struct Vouched {
  std::vector<std::string> signers;
  std::string author;
};

Result<const TrustedKey*> find_author(const Manifest& manifest, const ChannelTrust& channel,
                                      const Voices& voices) {
  if (channel.authors.empty() && manifest.author.empty()) return static_cast<const TrustedKey*>(nullptr);
  if (manifest.author.empty())
    return Error::make("release.author_not_allowed",
                       "the channel attests authors, and the manifest names none");
  if (!channel.authors.contains(manifest.author))
    return Error::make("release.author_not_allowed", "the key {} is no author on this channel",
                       manifest.author);
  const auto voice =
      std::ranges::find_if(voices, [&](const TrustedKey* key) { return key->key.id() == manifest.author; });
  if (voice == voices.end()) return Error::make("release.author_unsigned", "its author has not signed it");
  return *voice;
}

// Who of those who signed counts as what (R78): the author says "I wrote this", each signer "I have seen it".
Result<Vouched> vouch(const Manifest& manifest, const ChannelTrust& channel, const Voices& voices) {
  const TrustedKey* author = SAW_TRY(find_author(manifest, channel, voices));
  Vouched out;
  Voices signers;
  size_t authors_own = 0;
  for (const TrustedKey* key : voices) {
    if (key == author) {
      out.author = key->name;
      authors_own += channel.signers.contains(key->key.id()) ? 1 : 0;
    } else if (author && key->owner == author->owner) {
      ++authors_own;
    } else if (!channel.signers.contains(key->key.id())) {
      return Error::make("release.key_not_allowed", "'{}' may write on this channel, not sign", key->name);
    } else if (std::ranges::find(manifest.keys, key->key.id()) == manifest.keys.end()) {
      return Error::make("release.key_not_listed", "the manifest does not list the key '{}'", key->name);
    } else {
      signers.push_back(key);
      out.signers.push_back(key->name);
    }
  }
  const size_t threshold = std::max<size_t>(channel.threshold, manifest.threshold);
  auto enough = check_owners(signers, threshold);
  if (!enough && enough.error().code == "release.too_few_signatures" && authors_own > 0 &&
      signers.size() + authors_own >= threshold)
    return Error::make("release.author_is_signer", "its author's own signature does not count: {}",
                       enough.error().message);
  if (!enough) return std::unexpected(std::move(enough).error());
  return out;
}

Result<> check_window(const Manifest& manifest, Nanos now) {
  if (now < manifest.not_before)
    return Error::make("release.not_yet_valid", "it is valid from {}", rfc3339(manifest.not_before));
  if (now >= manifest.expires_at)
    return Error::make("release.expired", "it was valid until {}", rfc3339(manifest.expires_at));
  return {};
}

Result<> check_projectable(const policy::Policy& policy) {
  if (const auto later = policy::unprojectable(policy); !later.empty())
    return Error::make("release.unprojectable", "{}", policy::lines_of(later));
  if (policy.isolation() == policy::Isolation::vm)
    return Error::make("release.unprojectable",
                       "isolation 'vm' is not available yet, and nothing weaker is started in its place");
  return {};
}

// The revision that activating it would take, and how it came to be pointed at.
struct Position {
  uint64_t revision;
  Arrival arrival;
};

Result<Position> position(const FoundChannel& found, const Around& around, const ChannelState& state,
                          const Verified& release) {
  const uint64_t offered = release.manifest.revision;
  if (state.release == release.digest) return Position{state.revision, Arrival::unchanged};
  std::optional<RollbackOrder> order;
  if (found.rollback) {
    auto read = verify_rollback(*found.rollback, around, release.revoked);
    // An order that leads elsewhere, or is worthless, stops no release that needs none.
    if (!read && offered <= state.revision) return std::unexpected(std::move(read).error());
    if (read && read->to == release.digest) order = std::move(*read);
  }
  if (state.revision == 0)
    return Position{order ? std::max(order->revision, offered) : offered, Arrival::first};
  if (offered > state.revision) return Position{offered, Arrival::newer};
  if (order && order->from == state.release && order->revision > state.revision)
    return Position{order->revision, Arrival::rollback};
  if (offered == state.revision)
    return Error::make("release.same_revision", "revision {} is here already, with other content", offered);
  return Error::make("release.lower_revision", "its revision is {}; {} is here already", offered,
                     state.revision);
}

Result<> check_pointer(const FoundChannel& found, const Around& around, const Verified& release) {
  const Pointer pointer = SAW_TRY(Pointer::parse(found.pointer));
  const Pointer expected = {std::string(around.channel), found.version, release.digest};
  if (pointer != expected || release.manifest.version != found.version)
    return Error::make("release.wrong_pointer",
                       "the pointer names {} of channel '{}', and release {} ({}) lies there",
                       pointer.version, pointer.channel, release.manifest.version, release.digest);
  return {};
}

}  // namespace

std::string_view name(Arrival arrival) {
  switch (arrival) {
    case Arrival::first:
      return "first";
    case Arrival::newer:
      return "newer";
    case Arrival::rollback:
      return "rollback";
    case Arrival::unchanged:
      return "unchanged";
  }
  return "";
}

Result<> check_members(const FlatDirectory& found, const Manifest& manifest) {
  for (const auto& [file, content] : found.files)
    if (file != kManifestFile && file != kSignatureFile && !manifest.members.contains(file))
      return Error::make("release.extra_member", "'{}' is there and not in the manifest", printable(file));
  for (const auto& [file, member] : manifest.members) {
    const std::string& content = *SAW_TRY(file_of(found, file));
    if (content.size() != member.size || digest_text(sha256(content)) != member.sha256)
      return Error::make("release.wrong_digest", "'{}' is not the file that was signed", file);
  }
  return {};
}

Result<policy::Policy> compile_policy(const std::string& text) {
  auto compiled = policy::Policy::compile(text, kPolicyFile);
  if (compiled) {
    SAW_TRY(check_projectable(*compiled));
    return std::move(*compiled);
  }
  return Error::make("release.unparsable_policy", "{}", policy::lines_of(compiled.error()));
}

Result<RollbackOrder> verify_rollback(std::string_view text, const Around& around,
                                      const Revocations& revoked) {
  const ChannelTrust& channel = *SAW_TRY(channel_of(around));
  const Envelope envelope = SAW_TRY(Envelope::parse(text, kRollbackType, "the rollback order"));
  const std::set<std::string> gone = revoked_keys(revoked);
  const Voices voices =
      SAW_TRY(check_signatures(envelope, {around.trust, around.channel, channel.signers, gone}),
              "the rollback order");
  SAW_TRY(check_owners(voices, channel.threshold), "the rollback order");
  RollbackOrder order = SAW_TRY(RollbackOrder::parse(envelope.payload));
  if (order.channel != around.channel)
    return Error::make("release.wrong_channel", "the rollback order is for channel '{}'", order.channel);
  return order;
}

Result<Verified> verify_release(const FlatDirectory& found, const Around& around,
                                const Revocations& revoked) {
  const ChannelTrust& channel = *SAW_TRY(channel_of(around));
  if (!found.odd.empty())
    return Error::make("release.path_trick", "'{}' is not a regular file", printable(found.odd.front()));
  const std::string& manifest_text = *SAW_TRY(file_of(found, kManifestFile));
  const std::string& signature_text = *SAW_TRY(file_of(found, kSignatureFile));
  const Envelope envelope = SAW_TRY(Envelope::parse(signature_text, kReleaseType, kSignatureFile));
  if (envelope.payload != manifest_text)
    return Error::make("release.wrong_digest", "{} is not the manifest that was signed", kManifestFile);

  std::set<std::string> allowed = channel.signers;
  allowed.insert(channel.authors.begin(), channel.authors.end());
  const std::set<std::string> gone = revoked_keys(revoked);
  const Voices voices = SAW_TRY(check_signatures(envelope, {around.trust, around.channel, allowed, gone}));
  Manifest manifest = SAW_TRY(Manifest::parse(manifest_text));
  if (manifest.channel != around.channel)
    return Error::make("release.wrong_channel", "it was made for channel '{}'", manifest.channel);
  Vouched vouched = SAW_TRY(vouch(manifest, channel, voices));
  SAW_TRY(check_members(found, manifest));
  std::string digest = digest_text(sha256(manifest_text));
  if (const auto why = revoked.releases.find(digest); why != revoked.releases.end())
    return Error::make("release.revoked_release", "it is revoked: {}", printable(why->second));
  SAW_TRY(check_window(manifest, around.now));
  const std::string& policy_text = *SAW_TRY(file_of(found, kPolicyFile));
  policy::Policy policy = SAW_TRY(compile_policy(policy_text));
  const uint64_t revision = manifest.revision;
  return Verified{.manifest = std::move(manifest),
                  .digest = std::move(digest),
                  .policy = std::move(policy),
                  .policy_text = policy_text,
                  .signers = std::move(vouched.signers),
                  .author = std::move(vouched.author),
                  .revision = revision,
                  .revoked = revoked};
}

Result<Verified> verify_channel(const FoundChannel& found, const Around& around, const ChannelState& state) {
  SAW_TRY(channel_of(around));
  Revocations revoked = state.revoked;
  if (found.revocations)
    revoked = SAW_TRY(read_revocations(*found.revocations, around.trust, around.channel, state.revoked));
  else if (state.revoked.epoch > 0)
    return Error::make("release.revocations_missing", "the revocation list of epoch {} is gone",
                       state.revoked.epoch);
  Verified out = SAW_TRY(verify_release(found.release, around, revoked));
  SAW_TRY(check_pointer(found, around, out));
  const Position at = SAW_TRY(position(found, around, state, out));
  out.revision = at.revision;
  out.arrival = at.arrival;
  return out;
}

}  // namespace saw::release
