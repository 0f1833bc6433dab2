// A tree of releases on disk (or in a checked-out git repository): where publishers put them and hosts find them.
//
//   releases/2026-11-24.1/{policy.yaml,manifest.json,signature.sig}    never changes once it is there
//   channels/stable/current -> ../../releases/2026-11-24.1             advanced by rename: all old or all new
//   channels/stable/pointers/2026-11-24.1.json                         {channel, version, sha256}, there before the switch
//   channels/stable/rollbacks/2026-11-24.1.json                        the order that leads back to that release
//   channels/stable/revocations.json                                   what the channel takes back
//
//   ReleaseTree tree = SAW_TRY(ReleaseTree::open("/srv/policy"));
//   auto verified = verify_channel(SAW_TRY(tree.read("stable")), around, state);
//
// Reading trusts nothing: every step is by descriptor, no link is followed (`current` is read as text and must name a
// release in its one form), every file is bounded. Judging what was read is verify.h's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "release/verify.h"

namespace saw::release {

// A directory that should be a release: "release.path_trick" if it is too large or too full for one.
Result<FlatDirectory> read_release(const Fd& directory);

class ReleaseTree {
 public:
  static constexpr size_t kMaxReleaseBytes = 8u << 20;

  static Result<ReleaseTree> open(const std::string& root);
  // "release.no_channel": nothing was published on it. "release.path_trick".
  Result<FoundChannel> read(std::string_view channel) const;
  // Only what the channel takes back; nullopt: nothing yet. Also where no release is published yet.
  Result<std::optional<std::string>> read_revocations_file(std::string_view channel) const;
  Result<FlatDirectory> read_version(const std::string& version) const;

 private:
  explicit ReleaseTree(Fd root) : root_(std::move(root)) {}
  Result<Fd> channel_directory(std::string_view channel) const;
  Fd root_;
};

// What the tree itself says was activated last: for a publisher, who has no state of its own. Not verified.
ChannelState published_state(const FoundChannel& found);

// ---- writing; each is whole or not there after a crash, in the order that readers need

// A verified release: its directory, its pointer, then the switch. "release.immutable": the version exists with other
// content.
Result<> publish(const std::string& root, const FlatDirectory& release, const Verified& verified);
// The channel to a release that is there, for an order that has all its signatures.
Result<> roll_back(const std::string& root, const RollbackOrder& order, std::string_view envelope);
Result<> put_revocations(const std::string& root, const Revocations& list, std::string_view envelope);

}  // namespace saw::release
