// The release channels that this host follows: finds what is published, judges it (release/verify.h), has it enforced,
// and remembers it.
//
//   ReleaseDesk desk(plane, std::move(setup), {.project = …, .gate = …});
//   desk.restore();                         // before workspaces are: what each channel enforced last, judged again
//   desk.begin();                           // afterwards: watches the trees (no polling)
//   const release::Verified* active = SAW_TRY(desk.active("stable"));
//
// Order on a new release: verified → projected to every running workspace (each saw-egress swaps in one step) → stored.
// The store is written last (R69), so a crash at any point leads to the same release again, and never to a lower revision. A refused
// release changes nothing: the last good one stays (R68). What is taken back, and under profile `regulated` what has expired, is not
// enforced any longer: the channel's workspaces are shut off until there is a release again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/alive.h"
#include "control/plane.h"
#include "control/types.h"
#include "os/file_watch.h"
#include "release/tree.h"

namespace saw::control {

// From the operator's channels.yaml and the trust file that it names.
struct ReleaseSetup {
  release::Trust trust;
  std::map<std::string, std::string> trees;  // channel → directory
  std::string problem;                       // why there are none, where the operator wanted some
};
Result<ReleaseSetup> read_release_setup(const std::string& channels_file);

class ReleaseDesk {
 public:
  struct Callbacks {
    // The channel has a new release. Answers when every workspace of it enforces that, or is shut off.
    std::function<void(const std::string& channel, Reply<>)> project;
    std::function<void(const std::string& channel)> gate;  // may_act() has changed
  };
  ReleaseDesk(Plane& plane, ReleaseSetup setup, Callbacks callbacks)
      : plane_(plane), setup_(std::move(setup)), callbacks_(std::move(callbacks)) {}

  Result<> restore();
  void begin();

  // What is enforced. "release.no_channel", or why the channel's workspaces are shut off.
  Result<const release::Verified*> active(std::string_view channel) const;
  // The same without a channel's being shut off: the policy that its workspaces have.
  const release::Verified* held(std::string_view channel) const;
  Result<> may_act(std::string_view channel) const;  // "release.expired", "release.revoked_release", …
  std::vector<ChannelView> views() const;
  // Looks at the channel's tree now; else a change of it does that.
  void look(const std::string& channel);

 private:
  struct Active {
    release::Verified verified;
    FlatDirectory files;
    Nanos activated = 0;
  };
  struct Channel {
    std::string name, tree;
    release::ChannelState state;
    std::unique_ptr<Active> active;
    std::string published_version, published_digest;  // as it lies there, verified or not
    std::optional<Error> refusal;                     // of what is published
    std::optional<Error> shut;                        // why its workspaces are shut off
    store::Channel stored;                            // as the store has it
    bool expired = false, projecting = false, changed_meanwhile = false, unstored = false;
    std::unique_ptr<os::FileWatch> watch;
    os::Loop::Timer expiry;
  };
  void restore_channel(Channel& channel);
  void examine(Channel& channel);
  void note_revocations(Channel& channel, const release::FoundChannel& found);
  void judge_active(Channel& channel);
  Result<release::Verified> verify(const Channel& channel, const release::FoundChannel& found) const;
  void adopt(Channel& channel, release::FoundChannel found, release::Verified verified);
  void project(Channel& channel);
  void refuse(Channel& channel, Error error);
  void shut(Channel& channel, std::optional<Error> why);
  Result<> store_active(Channel& channel);
  void follow(Channel& channel);
  void await_expiry(Channel& channel);
  void record(const Channel& channel, const release::Verified* about, audit::Verdict verdict,
              const std::string& message, std::string_view reason = {});
  Channel* find(std::string_view name) const;

  Plane& plane_;
  ReleaseSetup setup_;
  Callbacks callbacks_;
  std::map<std::string, std::unique_ptr<Channel>, std::less<>> channels_;
  bool begun_ = false;
  Alive alive_;
};

}  // namespace saw::control
