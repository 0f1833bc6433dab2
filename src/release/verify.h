// Whether a release may be enforced: the one answer to everything that a directory, a mirror or a signer may have got
// wrong or done on purpose (R62–R71, R77, R78). Pure: what was found comes in, with the time and what is known.
//
//   auto verified = verify_channel(found, {.channel = "stable", .trust = trust, .now = clock.now()}, state);
//   if (!verified) keep_the_last_good_one(verified.error().code);       // "release.expired", …
//   state = verified->state();                                          // after activation, not before
//
// Each refusal has its own code:
//
//   release.unknown_channel        the trust file has no such channel       release.path_trick       link, directory, odd name
//   release.missing_member         listed, or always needed, not there      release.extra_member     there, not listed
//   release.malformed              not the format at all                    release.duplicate_key    a JSON member twice
//   release.unknown_field          a field of no meaning here               release.wrong_digest     content is not what was signed
//   release.unsigned               no signature                             release.bad_signature    one that is not of this content
//   release.unknown_key            not in the trust file                    release.key_not_allowed  not for this channel or purpose
//   release.key_not_listed         not among the manifest's keys            release.same_signer_twice  one key or owner, two signatures
//   release.too_few_signatures     below the threshold                      release.author_is_signer   only its author vouches for it
//   release.author_not_allowed     missing, or not an author                release.author_unsigned    the author did not sign
//   release.revoked_key            taken back                               release.revoked_release    taken back
//   release.wrong_channel          made for another channel                 release.wrong_pointer      the pointer names something else
//   release.not_yet_valid          before not_before                        release.expired            at or after expires_at
//   release.lower_revision         older than what ran here                 release.same_revision      same number, other content
//   release.unparsable_policy      policy.yaml does not compile             release.unprojectable      a rule that nothing here enforces
//   release.revocations_missing, release.revocations_older, release.revocations_shrink      the list went backwards
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/flat_directory.h"
#include "policy/policy.h"
#include "release/manifest.h"
#include "release/revocations.h"
#include "release/rollback.h"
#include "release/trust.h"

namespace saw::release {

// What lies at a channel, unread.
struct FoundChannel {
  std::string version;  // that `current` names
  FlatDirectory release;
  std::string pointer;                     // bytes of the pointer of that version
  std::optional<std::string> revocations;  // bytes of the envelope
  std::optional<std::string> rollback;     // of an order that leads to that version
};

// What a host remembers of a channel; survives restarts.
struct ChannelState {
  uint64_t revision = 0;  // of what was activated last; 0: nothing yet
  std::string release;    // its digest
  Revocations revoked;
};

enum class Arrival { first, newer, rollback, unchanged };
std::string_view name(Arrival);

struct Verified {
  Manifest manifest;
  std::string digest;  // of the release: "sha256:…"
  policy::Policy policy;
  std::string policy_text;
  std::vector<std::string> signers;  // names in the trust file
  std::string author;                // likewise; empty: not attested
  uint64_t revision = 0;             // the manifest's, or that of the rollback order
  Arrival arrival = Arrival::first;
  Revocations revoked;

  ChannelState state() const { return {revision, digest, revoked}; }
};

struct Around {
  std::string_view channel;
  const Trust& trust;
  Nanos now = 0;
};

// A release by itself, as if it were the first: no pointer, no revision to compare.
Result<Verified> verify_release(const FlatDirectory& found, const Around& around, const Revocations& revoked);
// A channel as it is found, against what is known of it.
Result<Verified> verify_channel(const FoundChannel& found, const Around& around, const ChannelState& state);
// A rollback order: signed by the channel's threshold of signers.
Result<RollbackOrder> verify_rollback(std::string_view envelope, const Around& around,
                                      const Revocations& revoked);

// Whether the files are those that the manifest lists, byte for byte, and no others. Not whether anybody signed it.
Result<> check_members(const FlatDirectory& found, const Manifest& manifest);
// A release's policy.yaml: "release.unparsable_policy", or, where it asks for something that no control here enforces
// (R71), "release.unprojectable".
Result<policy::Policy> compile_policy(const std::string& text);

}  // namespace saw::release
