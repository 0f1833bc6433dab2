#include "control/release_desk.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "release/channels_file.h"
#include "release/names.h"

namespace saw::control {

using release::Arrival;
using release::FoundChannel;
using release::Verified;

namespace {

// The longest that one timer waits; an expiry further away is looked at again then.
constexpr int64_t kLongestWaitMs = 24 * 3600 * 1000;

std::string published_digest(const FoundChannel& found) {
  const auto manifest = found.release.files.find(std::string(release::kManifestFile));
  return manifest == found.release.files.end() ? "" : digest_text(sha256(manifest->second));
}

}  // namespace

Result<ReleaseSetup> read_release_setup(const std::string& channels_file) {
  const std::string text =
      SAW_TRY(read_file(channels_file, release::ChannelsFile::kMaxBytes), "the channels file");
  release::ChannelsFile file = SAW_TRY(release::ChannelsFile::parse(text, channels_file));
  const std::string trust = SAW_TRY(read_file(file.trust, release::Trust::kMaxBytes), "the trust file");
  ReleaseSetup setup{.trust = SAW_TRY(release::Trust::parse(trust, file.trust)),
                     .trees = std::move(file.trees)};
  for (const auto& [channel, tree] : setup.trees)
    if (!setup.trust.channel(channel))
      return Error::make("channels.invalid", "the trust file '{}' has no channel '{}'", file.trust, channel);
  return setup;
}

// ---- what is asked of it

ReleaseDesk::Channel* ReleaseDesk::find(std::string_view name) const {
  const auto found = channels_.find(name);
  return found == channels_.end() ? nullptr : found->second.get();
}

const Verified* ReleaseDesk::held(std::string_view channel) const {
  const Channel* found = find(channel);
  return found && found->active ? &found->active->verified : nullptr;
}

Result<> ReleaseDesk::may_act(std::string_view name) const {
  const Channel* channel = find(name);
  if (!channel)
    return Error::make("release.no_channel", "this host does not follow channel '{}'{}{}",
                       printable(name, 80), setup_.problem.empty() ? "" : ": ", setup_.problem);
  if (channel->shut) return std::unexpected(*channel->shut);
  return {};
}

Result<const Verified*> ReleaseDesk::active(std::string_view name) const {
  SAW_TRY(may_act(name));
  const Channel& channel = *find(name);
  if (channel.active) return &channel.active->verified;
  if (channel.refusal) return std::unexpected(*channel.refusal);
  return Error::make("release.no_channel", "nothing is published on channel '{}'", name);
}

std::vector<ChannelView> ReleaseDesk::views() const {
  std::vector<ChannelView> out;
  for (const auto& [name, channel] : channels_) {
    ChannelView v{.name = name,
                  .tree = channel->tree,
                  .published_version = channel->published_version,
                  .published_digest = channel->published_digest,
                  .epoch = channel->state.revoked.epoch};
    if (channel->refusal) v.refusal_code = channel->refusal->code, v.refusal = channel->refusal->message;
    if (channel->shut) v.shut_code = channel->shut->code, v.shut = channel->shut->message;
    if (channel->active) {
      const Verified& a = channel->active->verified;
      v.version = a.manifest.version;
      v.digest = a.digest;
      v.revision = a.revision;
      v.policy_name = a.policy.name();
      v.policy_digest = digest_text(a.policy.digest());
      v.expires = a.manifest.expires_at;
      v.activated = channel->active->activated;
      v.author = a.author;
      v.signers = a.signers;
      v.expired = channel->expired;
    }
    out.push_back(std::move(v));
  }
  return out;
}

// ---- life

Result<> ReleaseDesk::restore() {
  std::map<std::string, store::Channel> stored;
  for (store::Channel& channel : SAW_TRY(plane_.store.channels(), "reading the channels")) {
    std::string name = channel.name;
    stored[std::move(name)] = std::move(channel);
  }
  if (!setup_.problem.empty()) log_error("no release channel is followed: {}", setup_.problem);
  for (const auto& [name, tree] : setup_.trees) {
    Channel& channel = *(channels_[name] = std::make_unique<Channel>());
    channel.name = name;
    channel.tree = tree;
    channel.stored.name = name;
    if (const auto found = stored.find(name); found != stored.end()) {
      channel.stored = std::move(found->second);
      restore_channel(channel);
    }
    examine(channel);
  }
  return {};
}

// The release that ran here last, judged again from its own files: what the store says is believed no more than what
// anybody else says.
void ReleaseDesk::restore_channel(Channel& channel) {
  const store::Channel& stored = channel.stored;
  channel.state.revision = stored.revision;
  channel.state.release = stored.release;
  if (!stored.revocations.empty()) {
    auto revoked = release::Revocations::parse(stored.revocations);
    if (!revoked)
      return shut(channel, Error{"release.revocations_missing",
                                 "the stored revocation list is unreadable: " + revoked.error().message, 0});
    channel.state.revoked = std::move(*revoked);
  }
  if (stored.release.empty()) return;
  FlatDirectory files{.files = stored.files, .odd = {}};
  Nanos now = plane_.clock.now();
  const auto manifest_file = files.files.find(std::string(release::kManifestFile));
  if (manifest_file != files.files.end())
    if (auto manifest = release::Manifest::parse(manifest_file->second))
      now = std::clamp(now, manifest->not_before, manifest->expires_at - 1);  // its window: await_expiry()
  auto verified = release::verify_release(files, {channel.name, setup_.trust, now}, channel.state.revoked);
  if (!verified || verified->digest != stored.release)
    return shut(channel, verified ? Error{"release.wrong_digest", "the stored release is another one", 0}
                                  : std::move(verified).error());
  verified->revision = stored.revision;
  channel.active = std::make_unique<Active>(
      Active{.verified = std::move(*verified), .files = std::move(files), .activated = stored.activated});
}

void ReleaseDesk::begin() {
  begun_ = true;
  for (auto& [name, channel] : channels_) {
    auto watch = os::FileWatch::create(plane_.loop, [this, which = channel.get()] { examine(*which); });
    if (!watch) {
      log_error("channel '{}' is not watched: {}", name, watch.error().message);
      continue;
    }
    channel->watch = std::move(*watch);
    follow(*channel);
    examine(*channel);  // what changed between restore() and the watch
    if (channel->unstored) project(*channel);
  }
}

void ReleaseDesk::look(const std::string& name) {
  if (Channel* channel = find(name)) examine(*channel);
}

// Every directory in which a change may mean something. In a checked-out repository they change in any order.
void ReleaseDesk::follow(Channel& channel) {
  if (!channel.watch) return;
  const std::string at = channel.tree + "/channels/" + channel.name;
  std::vector<std::string> directories = {channel.tree,      channel.tree + "/channels", at, at + "/pointers",
                                          at + "/rollbacks", channel.tree + "/releases"};
  if (!channel.published_version.empty())
    directories.push_back(channel.tree + "/releases/" + channel.published_version);
  channel.watch->follow(directories);
}

// ---- judging

Result<Verified> ReleaseDesk::verify(const Channel& channel, const FoundChannel& found) const {
  Verified verified = SAW_TRY(
      release::verify_channel(found, {channel.name, setup_.trust, plane_.clock.now()}, channel.state));
  if (channel.active && channel.active->verified.policy.profile() != verified.policy.profile())
    return Error::make("release.profile", "its profile is {}, and the channel's workspaces have {}",
                       policy::name(verified.policy.profile()),
                       policy::name(channel.active->verified.policy.profile()));
  return verified;
}

void ReleaseDesk::examine(Channel& channel) {
  if (channel.projecting) {
    channel.changed_meanwhile = true;
    return;
  }
  auto tree = release::ReleaseTree::open(channel.tree);
  auto found = tree ? tree->read(channel.name) : Result<FoundChannel>(std::unexpected(tree.error()));
  if (found) {
    channel.published_version = found->version;
    channel.published_digest = published_digest(*found);
    note_revocations(channel, *found);
  }
  follow(channel);
  auto verified = found ? verify(channel, *found) : Result<Verified>(std::unexpected(found.error()));
  if (!verified)
    refuse(channel, std::move(verified).error());
  else if (verified->arrival != Arrival::unchanged || !channel.active)
    adopt(channel, std::move(*found), std::move(*verified));
  else
    channel.refusal.reset();
  judge_active(channel);
}

// What is taken back counts at once, whatever becomes of the release that is published with it.
void ReleaseDesk::note_revocations(Channel& channel, const FoundChannel& found) {
  if (!found.revocations) return;
  auto list =
      release::read_revocations(*found.revocations, setup_.trust, channel.name, channel.state.revoked);
  if (!list || list->epoch == channel.state.revoked.epoch) return;
  channel.state.revoked = std::move(*list);
  record(channel, nullptr, audit::Verdict::allowed,
         fmt::format("channel '{}' takes back {} keys and {} releases (epoch {})", channel.name,
                     channel.state.revoked.keys.size(), channel.state.revoked.releases.size(),
                     channel.state.revoked.epoch));
  // Beside the release that is stored: one that is still on its way there is not in force yet.
  channel.stored.revocations = channel.state.revoked.text();
  if (auto stored = plane_.store.put(channel.stored); !stored)
    log_error("channel '{}': what is taken back was not stored: {}", channel.name, stored.error().message);
}

// Whether what is enforced may go on.
void ReleaseDesk::judge_active(Channel& channel) {
  if (!channel.active) return;
  const Active& active = *channel.active;
  const release::Manifest& manifest = active.verified.manifest;
  const Nanos now = plane_.clock.now();
  const bool expired = now >= manifest.expires_at;
  if (expired && !channel.expired)
    record(channel, &active.verified, audit::Verdict::denied,
           fmt::format("release {} of channel '{}' has expired", manifest.version, channel.name),
           "release.expired");
  channel.expired = expired;
  auto verified = release::verify_release(
      active.files,
      {channel.name, setup_.trust, std::clamp(now, manifest.not_before, manifest.expires_at - 1)},
      channel.state.revoked);
  if (!verified) return shut(channel, std::move(verified).error());
  if (expired && active.verified.policy.profile() == policy::Profile::regulated)
    return shut(
        channel,
        Error{"release.expired",
              fmt::format("release {} has expired, and profile regulated denies then", manifest.version), 0});
  shut(channel, std::nullopt);
  await_expiry(channel);
}

void ReleaseDesk::await_expiry(Channel& channel) {
  if (channel.expired) return;
  const int64_t left_ms =
      (channel.active->verified.manifest.expires_at - plane_.clock.now()) / kMillisecond + 1;
  channel.expiry = plane_.loop.after(std::clamp<int64_t>(left_ms, 1, kLongestWaitMs),
                                     [this, which = &channel] { judge_active(*which); });
}

void ReleaseDesk::shut(Channel& channel, std::optional<Error> why) {
  const std::string before = channel.shut ? channel.shut->code : "", now = why ? why->code : "";
  channel.shut = std::move(why);
  if (before == now) return;
  if (channel.shut) {
    log_error("channel '{}': its workspaces are shut off: {}", channel.name, channel.shut->message);
    record(
        channel, channel.active ? &channel.active->verified : nullptr, audit::Verdict::denied,
        fmt::format("the workspaces of channel '{}' are shut off: {}", channel.name, channel.shut->message),
        now);
  }
  callbacks_.gate(channel.name);
}

// Told once for each thing that is refused, not for each look at it.
void ReleaseDesk::refuse(Channel& channel, Error error) {
  const bool known =
      channel.refusal && channel.refusal->code == error.code && channel.refusal->message == error.message;
  channel.refusal = std::move(error);
  if (known || channel.refusal->code == "release.no_channel") return;
  const std::string message = fmt::format("release {} of channel '{}' is refused: {}",
                                          channel.published_version.empty() ? "?" : channel.published_version,
                                          channel.name, channel.refusal->message);
  log_warning("{} [{}]", message, channel.refusal->code);
  record(channel, nullptr, audit::Verdict::denied, message, channel.refusal->code);
}

// ---- enforcing

void ReleaseDesk::adopt(Channel& channel, FoundChannel found, Verified verified) {
  channel.refusal.reset();
  channel.state = verified.state();
  channel.unstored = true;
  channel.expired = false;
  const bool back = verified.arrival == Arrival::rollback;
  record(channel, &verified, audit::Verdict::allowed,
         fmt::format("channel '{}' {} release {}, revision {}", channel.name,
                     back ? "is rolled back to" : "goes to", verified.manifest.version, verified.revision));
  channel.active = std::make_unique<Active>(Active{
      .verified = std::move(verified), .files = std::move(found.release), .activated = plane_.clock.now()});
  if (begun_) project(channel);
}

void ReleaseDesk::project(Channel& channel) {
  channel.projecting = true;
  callbacks_.project(channel.name, alive_.guard([this, which = &channel](Result<> done) {
    Channel& channel = *which;
    channel.projecting = false;
    if (!done) log_error("channel '{}': {}", channel.name, done.error().message);
    auto stored = store_active(channel);
    channel.unstored = !stored;
    if (!stored) log_error("channel '{}' was not stored: {}", channel.name, stored.error().message);
    if (std::exchange(channel.changed_meanwhile, false)) examine(channel);
  }));
}

Result<> ReleaseDesk::store_active(Channel& channel) {
  store::Channel& out = channel.stored;
  out.revision = channel.state.revision;
  out.version = channel.active->verified.manifest.version;
  out.release = channel.active->verified.digest;
  out.files = channel.active->files.files;
  out.activated = channel.active->activated;
  return plane_.store.put(out);
}

void ReleaseDesk::record(const Channel& channel, const Verified* about, audit::Verdict verdict,
                         const std::string& message, std::string_view reason) {
  auto e = event<audit::PolicyRelease>(plane_, {}, verdict, message);
  e.reason = reason;
  e.channel = channel.name;
  e.version = about ? about->manifest.version : channel.published_version;
  e.release = about ? about->digest : channel.published_digest;
  e.revision = about ? about->revision : 0;
  if (about) e.policy_digest = digest_text(about->policy.digest());
  plane_.audit.record(audit::policy_release(e));
}

}  // namespace saw::control
