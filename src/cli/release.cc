// policy keygen, sign, verify: making a release out of a directory, and judging one. Everything that is judged is judged
// by src/release, as it is in sawd.
#include <charconv>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/releases.h"
#include "release/envelope.h"
#include "release/names.h"
#include "release/tree.h"

namespace saw::cli {

using nlohmann::json;
using release::Envelope;
using release::Manifest;

const Option kTrustOption = {"--trust", "FILE", "the trust file: whose signatures count on which channel"},
             kKeyOption = {"--key", "FILE", "the private key that signs"},
             kPassphraseOption = {"--passphrase-file", "FILE", "a file that holds the key's passphrase"},
             kChannelOption = {"--channel", "NAME", "the release channel"},
             kTreeOption = {"--tree", "DIR", "the tree of releases: releases/ and channels/"},
             kWhyOption = {"--why", "TEXT", "a reason, kept with it"};

Attempt<std::string> needed(const Context& context, std::string_view option, std::string_view what) {
  if (auto value = context.args.find(option)) return std::move(*value);
  return fail(Exit::usage, "cli.usage", "say {}: {}", what, option);
}

Attempt<release::Trust> load_trust(const Context& context) {
  const std::string file = CLI_TRY(needed(context, "--trust", "whom to trust"));
  const std::string yaml = CLI_TRY(read_file(absolute(context.places, file), release::Trust::kMaxBytes));
  return CLI_TRY(release::Trust::parse(yaml, file));
}

Attempt<std::string> load_passphrase(const Context& context) {
  constexpr size_t kMaxPassphrase = 1024;
  const auto file = context.args.find("--passphrase-file");
  if (!file) return std::string();
  std::string text = CLI_TRY(read_file(absolute(context.places, *file), kMaxPassphrase));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) return fail(Exit::usage, "cli.usage", "'{}' holds no passphrase", *file);
  return text;
}

Attempt<PrivateKey> load_key(const Context& context) {
  const std::string file = CLI_TRY(needed(context, "--key", "which key signs"));
  const std::string passphrase = CLI_TRY(load_passphrase(context));
  const std::string pem = CLI_TRY(read_file(absolute(context.places, file), PrivateKey::kMaxPemBytes));
  auto key = PrivateKey::from_pem(pem, passphrase);
  if (key) return std::move(*key);
  Failure failure = as_failure(std::move(key.error()), Exit::failed);
  failure.reason = fmt::format("{}: {}", file, failure.reason);
  if (failure.code == "key.passphrase") failure.ask = "--passphrase-file FILE";
  return std::unexpected(std::move(failure));
}

Attempt<std::string> load_why(const Context& context) {
  constexpr size_t kMaxWhy = 500;
  std::string why = context.args.text("--why");
  if (why.size() > kMaxWhy) return fail(Exit::usage, "cli.usage", "--why has at most {} bytes", kMaxWhy);
  return why;
}

Attempt<FlatDirectory> load_release(const Context& context, const std::string& path) {
  const Fd directory = CLI_TRY(open_directory(absolute(context.places, path)));
  return CLI_TRY(release::read_release(directory));
}

json to_json(const release::Verified& v) {
  return {{"version", v.manifest.version},
          {"channel", v.manifest.channel},
          {"revision", v.revision},
          {"digest", v.digest},
          {"not_before", rfc3339(v.manifest.not_before)},
          {"expires_at", rfc3339(v.manifest.expires_at)},
          {"author", v.author},
          {"signers", v.signers},
          {"policy", {{"name", v.policy.name()}, {"digest", digest_text(v.policy.digest())}}}};
}

namespace {

Outcome keygen(Context& context) {
  const auto kind = parse_key_kind(context.args.text("--kind", "ed25519"));
  if (!kind) return fail(Exit::usage, "cli.usage", "--kind is ed25519 or p256");
  const std::string base = absolute(context.places, context.args.text("FILE"));
  const std::string private_file = base + ".key", public_file = base + ".pub";
  for (const std::string& file : {private_file, public_file})
    if (::access(file.c_str(), F_OK) == 0)
      return fail(Exit::failed, "key.exists", "'{}' exists, and a key is never overwritten", file);
  const std::string passphrase = CLI_TRY(load_passphrase(context));
  const PrivateKey key = PrivateKey::generate(*kind);
  const std::string pem = CLI_TRY(key.to_pem(passphrase));
  CLI_TRY(replace_file(private_file, pem, 0600, Durability::fsync));
  CLI_TRY(replace_file(public_file, key.public_key().to_pem(), 0644, Durability::fsync));
  const PublicKey& pub = key.public_key();
  context.out.json({{"id", pub.id()},
                    {"kind", name(*kind)},
                    {"public", pub.text()},
                    {"private_file", private_file},
                    {"public_file", public_file}});
  context.out.line(fmt::format("public: {}", pub.text()));
  context.out.note(fmt::format("{} (keep it secret{}) and {} are written; the line above is for a trust file",
                               private_file, passphrase.empty() ? "; it has no passphrase" : "",
                               public_file));
  return 0;
}

// ---- sign

struct Draft {
  Manifest manifest;
  Envelope envelope;
};

Attempt<Nanos> moment(const Context& context, std::string_view option, Nanos otherwise) {
  const auto text = context.args.find(option);
  if (!text) return otherwise;
  if (const auto time = parse_rfc3339(*text)) return *time;
  if (const auto after = parse_duration_ms(*text)) return context.clock.now() + *after * kMillisecond;
  return fail(Exit::usage, "cli.usage", "{} is a time (2026-11-24T03:00:00Z) or a duration from now (90d)",
              option);
}

Attempt<uint64_t> revision_of(const Context& context) {
  const std::string text = CLI_TRY(needed(context, "--revision", "which revision of the channel this is"));
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0)
    return fail(Exit::usage, "cli.usage",
                "--revision is a number from 1 on, higher than that of the release before");
  return value;
}

// The policy must be one that hosts will take; better said to the author than to every host.
Result<> check_policy(const FlatDirectory& found) {
  const auto policy = found.files.find(std::string(release::kPolicyFile));
  if (policy == found.files.end())
    return Error::make("release.missing_member", "the directory has no {}", release::kPolicyFile);
  SAW_TRY(release::compile_policy(policy->second));
  return {};
}

Result<> list_members(const FlatDirectory& found, Manifest& manifest) {
  if (!found.odd.empty())
    return Error::make("release.path_trick", "'{}' is not a regular file", found.odd.front());
  for (const auto& [file, content] : found.files) {
    if (!release::is_member_name(file) || content.size() > Manifest::kMaxMemberBytes)
      return Error::make("release.path_trick",
                         "'{}' cannot be a member: a-z, 0-9, '.', '-', '_', at most 4 MiB", file);
    manifest.members[file] = {digest_text(sha256(content)), content.size()};
  }
  return check_policy(found);
}

Attempt<Draft> make_manifest(const Context& context, const FlatDirectory& found, const PrivateKey& key) {
  constexpr int64_t kLifetimeDays = 90;
  const release::Trust trust = CLI_TRY(load_trust(context));
  const Nanos now = context.clock.now();
  Manifest m;
  m.channel = CLI_TRY(needed(context, "--channel", "for which channel it is"));
  const release::ChannelTrust* channel = trust.channel(m.channel);
  if (!channel)
    return fail(Exit::failed, "release.unknown_channel", "the trust file has no channel '{}'", m.channel);
  m.revision = CLI_TRY(revision_of(context));
  m.version = context.args.text("--version", rfc3339(now).substr(0, 10) + ".1");
  if (!release::is_version(m.version))
    return fail(Exit::usage, "cli.usage", "--version is a day and a number: 2026-11-24.1");
  m.not_before = CLI_TRY(moment(context, "--not-before", now));
  m.expires_at = CLI_TRY(moment(context, "--expires", now + kLifetimeDays * 24 * 60 * kMinute));
  if (m.expires_at <= m.not_before)
    return fail(Exit::usage, "cli.usage", "it would expire before it is valid");
  const std::string& own = key.public_key().id();
  if (!channel->authors.empty() && !channel->authors.contains(own))
    return fail(Exit::failed, "release.author_not_allowed",
                "channel '{}' attests authors: one of them signs first, and this key is none", m.channel);
  if (!channel->authors.empty()) m.author = own;
  m.threshold = channel->threshold;
  for (const std::string& id : channel->signers)
    if (id != m.author) m.keys.push_back(id);
  CLI_TRY(list_members(found, m));
  Draft draft{.manifest = m, .envelope = {.type = std::string(release::kReleaseType), .payload = m.text()}};
  return draft;
}

Attempt<Draft> read_draft(const Context& context, const FlatDirectory& found) {
  for (const char* option : {"--channel", "--revision", "--version", "--expires", "--not-before"})
    if (context.args.has(option))
      return fail(Exit::usage, "cli.usage",
                  "{} is decided already: the directory has a {}, and only a signature can be added", option,
                  release::kManifestFile);
  const std::string& text = found.files.at(std::string(release::kManifestFile));
  Draft draft;
  draft.manifest = CLI_TRY(Manifest::parse(text));
  const auto signature = found.files.find(std::string(release::kSignatureFile));
  if (signature == found.files.end())
    return fail(Exit::failed, "release.missing_member", "the directory has a manifest and no {}",
                release::kSignatureFile);
  draft.envelope =
      CLI_TRY(Envelope::parse(signature->second, release::kReleaseType, release::kSignatureFile));
  if (draft.envelope.payload != text)
    return fail(Exit::failed, "release.wrong_digest", "the manifest is not the one that others have signed");
  CLI_TRY(release::check_members(found, draft.manifest));
  CLI_TRY(check_policy(found));
  return draft;
}

Outcome sign(Context& context) {
  const std::string directory = absolute(context.places, context.args.text("DIR"));
  const PrivateKey key = CLI_TRY(load_key(context));
  const FlatDirectory found = CLI_TRY(load_release(context, directory));
  const bool is_new = !found.files.contains(std::string(release::kManifestFile));
  Draft draft = CLI_TRY(is_new ? make_manifest(context, found, key) : read_draft(context, found));
  const std::string& id = key.public_key().id();
  for (const release::Signature& s : draft.envelope.signatures)
    if (s.key_id == id)
      return fail(Exit::failed, "release.same_signer_twice", "this key has signed it already");
  draft.envelope.sign(key);
  // The manifest first: without its signature it is only refused, the other way round would be lost.
  if (is_new)
    CLI_TRY(replace_file(directory + "/" + std::string(release::kManifestFile), draft.envelope.payload, 0644,
                         Durability::fsync));
  CLI_TRY(replace_file(directory + "/" + std::string(release::kSignatureFile), draft.envelope.text(), 0644,
                       Durability::fsync));
  const Manifest& m = draft.manifest;
  const std::string digest = digest_text(sha256(draft.envelope.payload));
  context.out.json({{"version", m.version},
                    {"channel", m.channel},
                    {"revision", m.revision},
                    {"digest", digest},
                    {"signatures", draft.envelope.signatures.size()},
                    {"threshold", m.threshold}});
  context.out.line(
      fmt::format("release {} of channel {}, revision {}, {}", m.version, m.channel, m.revision, digest));
  context.out.note(fmt::format("signed by {}: {} signature{} so far, {} needed{}", id,
                               draft.envelope.signatures.size(),
                               draft.envelope.signatures.size() == 1 ? "" : "s", m.threshold,
                               m.author.empty() ? "" : " besides the author's"));
  return 0;
}

// ---- verify

Outcome verify(Context& context) {
  const release::Trust trust = CLI_TRY(load_trust(context));
  const FlatDirectory found = CLI_TRY(load_release(context, context.args.text("DIR")));
  std::string channel = context.args.text("--channel");
  // Without one, the channel that it says it was made for: the signatures are judged by that channel's rules.
  const auto manifest = found.files.find(std::string(release::kManifestFile));
  if (channel.empty() && manifest != found.files.end())
    channel = CLI_TRY(Manifest::parse(manifest->second)).channel;
  release::Revocations revoked;
  if (const auto file = context.args.find("--revocations")) {
    const std::string list = CLI_TRY(read_file(absolute(context.places, *file), Envelope::kMaxBytes));
    revoked = CLI_TRY(release::read_revocations(list, trust, channel, {}));
  }
  const release::Around around = {.channel = channel, .trust = trust, .now = context.clock.now()};
  const auto verified = CLI_TRY(judged(release::verify_release(found, around, revoked)));
  context.out.json(to_json(verified));
  context.out.line(fmt::format("release {} of channel {}, revision {}, {}", verified.manifest.version,
                               channel, verified.revision, verified.digest));
  context.out.field("policy", verified.policy.name());
  context.out.field("author", verified.author.empty() ? "not attested" : verified.author);
  std::string signers;
  for (const std::string& signer : verified.signers) signers += (signers.empty() ? "" : ", ") + signer;
  context.out.field("signers", signers);
  context.out.field("valid until", rfc3339(verified.manifest.expires_at));
  return 0;
}

}  // namespace

std::vector<Command> release_commands() {
  return {
      {.path = "policy keygen",
       .summary = "a key to sign releases with",
       .positionals = {{"FILE", "FILE.key and FILE.pub are written"}},
       .options = {{"--kind", "KIND", "ed25519 (default) or p256"}, kPassphraseOption},
       .text =
           "PKCS#8 and SubjectPublicKeyInfo in PEM, as OpenSSL reads them. What it prints belongs into the "
           "hosts' trust file\n(docs/releases.md). Needs no daemon.",
       .examples = {"saw policy keygen keys/ann --passphrase-file pass"},
       .run = keygen},
      {.path = "policy sign",
       .summary = "make a directory a release, or add a signature",
       .positionals = {{"DIR", "a directory with policy.yaml"}},
       .options = {kKeyOption,
                   kPassphraseOption,
                   kTrustOption,
                   kChannelOption,
                   {"--revision", "N", "higher than that of the channel's release before"},
                   {"--version", "V", "2026-11-24.1; default: today's first"},
                   {"--not-before", "TIME", "a time, or a duration from now; default: now"},
                   {"--expires", "TIME", "a time, or a duration from now; default: 90d"}},
       .text =
           "The first signature makes the manifest and needs --trust, --channel and --revision; where the "
           "channel attests authors it is\nthe author's, and does not count as a reviewer's. Every further "
           "one "
           "checks that the files are those of the manifest. Needs no\ndaemon.",
       .examples = {"saw policy sign new --key keys/cat.key --trust trust.yaml --channel stable --revision 8",
                    "saw policy sign new --key keys/ann.key"},
       .run = sign},
      {.path = "policy verify",
       .summary = "judge a release as a host would",
       .positionals = {{"DIR", "a release: policy.yaml, manifest.json, signature.sig"}},
       .options = {kTrustOption, kChannelOption, {"--revocations", "FILE", "the channel's revocations.json"}},
       .text =
           "Exit status 1 and one stable code (release.…) if it is refused: src/release/verify.h lists them. "
           "Needs no daemon.",
       .examples = {"saw policy verify new --trust trust.yaml --channel stable"},
       .run = verify},
  };
}

}  // namespace saw::cli
