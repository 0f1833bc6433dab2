// policy publish, rollback, revoke, status: a tree of releases (src/release/tree.h) and its channels.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/releases.h"
#include "cli/spawn.h"
#include "release/envelope.h"
#include "release/names.h"
#include "release/tree.h"

namespace saw::cli {
namespace {

using nlohmann::json;
using release::Envelope;
using release::FoundChannel;
using release::ReleaseTree;
using release::Revocations;

constexpr unsigned kTreeMode = 0755;  // sawd reads it with its own uid

// What these commands work on, read and parsed.
struct Site {
  std::string root;
  std::string channel;
  release::Trust trust;
  Nanos now;
  release::Around around() const { return {.channel = channel, .trust = trust, .now = now}; }
};

Attempt<Site> site_of(const Context& context) {
  Site site{.root = absolute(context.places, CLI_TRY(needed(context, "--tree", "which tree of releases"))),
            .channel = CLI_TRY(needed(context, "--channel", "which channel")),
            .trust = CLI_TRY(load_trust(context)),
            .now = context.clock.now()};
  if (!site.trust.channel(site.channel))
    return fail(Exit::failed, "release.unknown_channel", "the trust file has no channel '{}'", site.channel);
  return site;
}

// What the channel takes back now, verified; nothing if it has no list.
Result<Revocations> revocations_of(const Site& site, const ReleaseTree& tree) {
  const auto file = SAW_TRY(tree.read_revocations_file(site.channel));
  if (!file) return Revocations{.channel = site.channel};
  return release::read_revocations(*file, site.trust, site.channel, {});
}

// Adds what was written to the git repository that the tree lies in, and nothing else that is staged there.
Attempt<void> commit_tree(const Context& context, const Site& site, const std::string& message) {
  if (!context.args.has("--commit")) return {};
  static constexpr const char* kGit = "/usr/bin/git";
  const std::vector<std::string> at = {"-C", site.root};
  auto git = [&](std::vector<std::string> words) {
    words.insert(words.begin(), at.begin(), at.end());
    return output_of(kGit, words);
  };
  CLI_TRY(git({"add", "--", "releases", "channels"}));
  CLI_TRY(git({"commit", "--quiet", "-m", message, "--", "releases", "channels"}));
  return {};
}

const Option kCommitOption = {"--commit", "", "commit it to the git repository that the tree lies in"};

// ---- publish

Outcome publish(Context& context) {
  const Site site = CLI_TRY(site_of(context));
  const FlatDirectory files = CLI_TRY(load_release(context, context.args.text("DIR")));
  CLI_TRY(make_directories(site.root, kTreeMode));
  const ReleaseTree tree = CLI_TRY(ReleaseTree::open(site.root));
  const Revocations revoked = CLI_TRY(revocations_of(site, tree));
  const auto verified = CLI_TRY(judged(release::verify_release(files, site.around(), revoked)));

  // As a host that has what is published now would see it.
  FoundChannel next{.version = verified.manifest.version, .release = files};
  next.pointer = release::Pointer{site.channel, verified.manifest.version, verified.digest}.text();
  next.revocations = CLI_TRY(tree.read_revocations_file(site.channel));
  auto before = tree.read(site.channel);
  if (!before && before.error().code != "release.no_channel")
    return std::unexpected(as_failure(std::move(before.error()), Exit::failed));
  const release::ChannelState state = before ? release::published_state(*before) : release::ChannelState{};
  const auto accepted = CLI_TRY(judged(release::verify_channel(next, site.around(), state)));

  CLI_TRY(release::publish(site.root, files, accepted));
  CLI_TRY(
      commit_tree(context, site, fmt::format("Release {} on {}", accepted.manifest.version, site.channel)));
  json report = to_json(accepted);
  report["arrival"] = name(accepted.arrival);
  context.out.json(report);
  context.out.line(fmt::format("channel {} is at release {}, revision {}, {}", site.channel,
                               accepted.manifest.version, accepted.revision, accepted.digest));
  return 0;
}

// ---- rollback

// An order that waits for further signatures lies beside the channel, where no host looks.
std::string pending_path(const Site& site, const std::string& version) {
  return fmt::format("{}/channels/{}/pending-rollback-{}.json", site.root, site.channel, version);
}

// The pending order for `version` with its signatures, or a new one from what is published now.
Attempt<Envelope> order_to(const Context& context, const Site& site, const ReleaseTree& tree,
                           const std::string& version) {
  const std::string why = CLI_TRY(load_why(context));
  const FoundChannel found = CLI_TRY(tree.read(site.channel));
  const release::ChannelState state = release::published_state(found);
  const FlatDirectory target = CLI_TRY(tree.read_version(version));
  const Revocations revoked = CLI_TRY(revocations_of(site, tree));
  const auto to = CLI_TRY(release::verify_release(target, site.around(), revoked));
  if (to.digest == state.release)
    return fail(Exit::failed, "release.unchanged", "channel '{}' is at release {} already", site.channel,
                version);
  if (auto text = read_file(pending_path(site, version), Envelope::kMaxBytes)) {
    Envelope pending = CLI_TRY(Envelope::parse(*text, release::kRollbackType, "the pending rollback order"));
    const auto order = CLI_TRY(release::RollbackOrder::parse(pending.payload));
    if (order.channel == site.channel && order.to == to.digest && order.from == state.release &&
        order.revision == state.revision + 1)
      return pending;
    context.out.note("the order that was pending is about another state of the channel: a new one is made");
  }
  const release::RollbackOrder order = {.channel = site.channel,
                                        .revision = state.revision + 1,
                                        .from = state.release,
                                        .to = to.digest,
                                        .to_version = version,
                                        .why = why,
                                        .ordered_at = site.now};
  return Envelope{.type = std::string(release::kRollbackType), .payload = order.text(), .signatures = {}};
}

Outcome rollback(Context& context) {
  const Site site = CLI_TRY(site_of(context));
  const std::string version = CLI_TRY(needed(context, "--to", "to which release"));
  const PrivateKey key = CLI_TRY(load_key(context));
  const ReleaseTree tree = CLI_TRY(ReleaseTree::open(site.root));
  Envelope envelope = CLI_TRY(order_to(context, site, tree, version));
  envelope.sign(key);
  const Revocations revoked = CLI_TRY(revocations_of(site, tree));
  auto order = release::verify_rollback(envelope.text(), site.around(), revoked);
  const bool waits = !order && order.error().code == "release.too_few_signatures";
  if (!order && !waits) return std::unexpected(as_failure(std::move(order.error()), Exit::failed));
  if (waits) {
    CLI_TRY(replace_file(pending_path(site, version), envelope.text(), 0644, Durability::fsync));
    context.out.json({{"state", "pending"}, {"signatures", envelope.signatures.size()}});
    context.out.line(
        fmt::format("the order is signed, and waits for the next signer ({})", order.error().message));
    return 0;
  }
  CLI_TRY(release::roll_back(site.root, *order, envelope.text()));
  std::error_code ignored;
  std::filesystem::remove(pending_path(site, version), ignored);
  CLI_TRY(commit_tree(context, site, fmt::format("Roll {} back to {}", site.channel, version)));
  context.out.json({{"state", "done"},
                    {"channel", site.channel},
                    {"version", version},
                    {"revision", order->revision},
                    {"from", order->from},
                    {"to", order->to}});
  context.out.line(fmt::format("channel {} is back at release {}, as revision {}", site.channel, version,
                               order->revision));
  return 0;
}

// ---- revoke

// A key by its id, or by its name in the trust file.
Attempt<std::string> key_id(const Site& site, const std::string& text) {
  if (release::is_digest(text)) return text;
  for (const auto& [id, key] : site.trust.keys())
    if (key.name == text) return id;
  return fail(Exit::failed, "release.unknown_key",
              "'{}' is neither the id of a key nor a name in the trust file", printable(text));
}

Attempt<std::string> release_digest(const ReleaseTree& tree, const std::string& text) {
  if (release::is_digest(text)) return text;
  const FlatDirectory found = CLI_TRY(tree.read_version(text));
  const auto manifest = found.files.find(std::string(release::kManifestFile));
  if (manifest == found.files.end())
    return fail(Exit::failed, "release.missing_member", "release {} has no manifest", text);
  return digest_text(sha256(manifest->second));
}

Outcome revoke(Context& context) {
  const Site site = CLI_TRY(site_of(context));
  const auto gone_release = context.args.find("--release"), gone_key = context.args.find("--revoke-key");
  if (!gone_release && !gone_key)
    return fail(Exit::usage, "cli.usage", "say what is taken back: --release VERSION or --revoke-key KEY");
  const std::string why = CLI_TRY(load_why(context));
  const PrivateKey key = CLI_TRY(load_key(context));
  CLI_TRY(make_directories(site.root, kTreeMode));
  const ReleaseTree tree = CLI_TRY(ReleaseTree::open(site.root));
  const Revocations before = CLI_TRY(revocations_of(site, tree));
  Revocations list = before;
  if (gone_release) list.releases.emplace(CLI_TRY(release_digest(tree, *gone_release)), why);
  if (gone_key) list.keys.emplace(CLI_TRY(key_id(site, *gone_key)), why);
  list.epoch = before.epoch + 1;
  Envelope envelope{.type = std::string(release::kRevocationsType), .payload = list.text(), .signatures = {}};
  envelope.sign(key);
  CLI_TRY(release::read_revocations(envelope.text(), site.trust, site.channel, before));
  CLI_TRY(release::put_revocations(site.root, list, envelope.text()));
  CLI_TRY(commit_tree(context, site, fmt::format("Revocations of {}, epoch {}", site.channel, list.epoch)));
  context.out.json({{"channel", site.channel},
                    {"epoch", list.epoch},
                    {"keys", list.keys.size()},
                    {"releases", list.releases.size()}});
  context.out.line(fmt::format("channel {} takes back {} key{} and {} release{} (epoch {})", site.channel,
                               list.keys.size(), list.keys.size() == 1 ? "" : "s", list.releases.size(),
                               list.releases.size() == 1 ? "" : "s", list.epoch));
  return 0;
}

// ---- status

Result<release::Verified> judge(const ReleaseTree& tree, const release::Around& around) {
  const FoundChannel found = SAW_TRY(tree.read(around.channel));
  return release::verify_channel(found, around, {});
}

// What the daemon enforces: published → verified → active → by which workspaces, and what has drifted.
Outcome daemon_status(Context& context) {
  const json answer = CLI_TRY(call(context, "GET", "/v1/channels"));
  context.out.json(answer);
  std::vector<Output::Row> rows;
  bool all_fine = true;
  for (const json& c : list_of(answer, "channels")) {
    const json none = json::object();
    auto part = [&](const char* name) -> const json& { return c.contains(name) ? c[name] : none; };
    const json &published = part("published"), &active = part("active"), &refused = part("refused"),
               &shut = part("shut");
    std::string note = shut.empty() ? text_of(refused, "code") : "SHUT OFF " + text_of(shut, "code");
    if (note.empty() && text_of(active, "expired") == "true") note = "release.expired";
    size_t drift = 0;
    for (const json& w : list_of(c, "workspaces")) drift += text_of(w, "drift") == "true" ? 1 : 0;
    rows.push_back({text_of(c, "name"), text_of(published, "version"), text_of(active, "version"),
                    text_of(active, "revision"), std::to_string(list_of(c, "workspaces").size()),
                    std::to_string(drift), note});
    all_fine &= note.empty() && drift == 0;
  }
  context.out.table({"CHANNEL", "PUBLISHED", "ACTIVE", "REVISION", "WORKSPACES", "DRIFT", ""}, rows,
                    "this host follows no channel");
  return all_fine ? 0 : 1;
}

Outcome status(Context& context) {
  if (!context.args.has("--tree")) return daemon_status(context);
  const std::string root =
      absolute(context.places, CLI_TRY(needed(context, "--tree", "which tree of releases")));
  const release::Trust trust = CLI_TRY(load_trust(context));
  const ReleaseTree tree = CLI_TRY(ReleaseTree::open(root));
  json channels = json::array();
  std::vector<Output::Row> rows;
  bool all_fine = true;
  for (const auto& [channel, rules] : trust.channels()) {
    const auto verified = judge(tree, {.channel = channel, .trust = trust, .now = context.clock.now()});
    json entry = verified ? to_json(*verified) : json{{"channel", channel}};
    const bool empty = !verified && verified.error().code == "release.no_channel";
    entry["state"] = verified ? "verified" : empty ? "empty" : "refused";
    if (!verified && !empty)
      entry["error"] = {{"code", verified.error().code}, {"reason", verified.error().message}};
    all_fine &= verified || empty;
    rows.push_back({channel, verified ? verified->manifest.version : "-",
                    verified ? std::to_string(verified->revision) : "-", entry["state"].get<std::string>(),
                    verified ? "until " + rfc3339(verified->manifest.expires_at)
                             : verified.error().code + ": " + verified.error().message});
    channels.push_back(std::move(entry));
  }
  context.out.json({{"tree", root}, {"channels", std::move(channels)}});
  context.out.table({"CHANNEL", "RELEASE", "REVISION", "STATE", ""}, rows, "the trust file has no channel");
  return all_fine ? 0 : 1;
}

}  // namespace

std::vector<Command> release_tree_commands() {
  return {
      {.path = "policy publish",
       .summary = "publish a release on a channel",
       .positionals = {{"DIR", "a release with all its signatures"}},
       .options = {kTreeOption, kChannelOption, kTrustOption, kCommitOption},
       .text = "Refused if a host with the present release would refuse it. The release's directory never "
               "changes "
               "afterwards; the channel\nmoves in one step. Needs no daemon.",
       .examples = {"saw policy publish new --tree /srv/policy --channel stable --trust trust.yaml"},
       .run = publish},
      {.path = "policy rollback",
       .summary = "return a channel to an earlier release, by a signed order",
       .options = {kTreeOption,
                   kChannelOption,
                   kTrustOption,
                   kKeyOption,
                   kPassphraseOption,
                   {"--to", "VERSION", "the release to return to"},
                   kWhyOption,
                   kCommitOption},
       .text =
           "Each of the channel's signers runs it once; the channel moves with the last signature that is "
           "needed. The order names both\nreleases and works once. Needs no daemon.",
       .examples =
           {"saw policy rollback --tree /srv/policy --channel stable --to 2026-11-24.1 --key keys/ann.key "
            "--trust trust.yaml --why 'blocks the build'"},
       .run = rollback},
      {.path = "policy revoke",
       .summary = "take back a key or a release",
       .options = {kTreeOption,
                   kChannelOption,
                   kTrustOption,
                   kKeyOption,
                   kPassphraseOption,
                   {"--release", "VERSION", "a release, by version or digest"},
                   {"--revoke-key", "KEY", "a key, by id or by its name in the trust file"},
                   kWhyOption,
                   kCommitOption},
       .text =
           "One signature of a signer or revoker of the channel is enough, and nothing is ever given back. "
           "Needs no daemon.",
       .examples =
           {"saw policy revoke --tree /srv/policy --channel stable --revoke-key ben --key keys/rex.key "
            "--trust trust.yaml --why lost"},
       .run = revoke},
      {.path = "policy status",
       .summary = "which release each channel has, and who enforces it",
       .options = {kTreeOption, kTrustOption},
       .text =
           "Without options: what this host's daemon found, enforces, and where sandboxes still have an "
           "older "
           "release's files and limits.\nWith --tree and --trust, without a daemon: whether a new host would "
           "take what a tree holds. Exit status 1 if something is refused\nor has drifted.",
       .examples = {"saw policy status", "saw policy status --tree /srv/policy --trust trust.yaml"},
       .run = status},
  };
}

}  // namespace saw::cli
