// A small company for tests: its keys, its trust file and releases that are right unless a test bends them.
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include "release/envelope.h"
#include "release/names.h"
#include "release/verify.h"

namespace saw::release::fixture {

constexpr Nanos kNow = 1'795'521'600 * kSecond;  // 2026-11-24T12:00:00Z
constexpr Nanos kDay = 24 * 60 * kMinute;

inline const std::string kPolicyText = R"(apiVersion: saw/v1
kind: Policy
metadata: {name: p}
profile: local
network:
  - name: api
    to: {hosts: [api.example.com], ports: [443]}
    allow: [{methods: [GET], paths: ["/**"]}]
)";

struct Company {
  PrivateKey ann = PrivateKey::generate(KeyKind::ed25519), ben = PrivateKey::generate(KeyKind::p256),
             bens_other = PrivateKey::generate(KeyKind::ed25519),
             cat = PrivateKey::generate(KeyKind::ed25519), dan = PrivateKey::generate(KeyKind::ed25519),
             eve = PrivateKey::generate(KeyKind::ed25519), rex = PrivateKey::generate(KeyKind::p256);
  Trust trust;

  Company() {
    auto parsed = Trust::parse(trust_text(), "trust.yaml");
    if (!parsed) ADD_FAILURE() << parsed.error().message;
    if (parsed) trust = std::move(*parsed);
  }

  std::string trust_text() const {
    auto key = [](std::string_view name, const PrivateKey& k, std::string_view more = "") {
      return fmt::format("  {}: {{public: {}{}}}\n", name, k.public_key().text(), more);
    };
    return "apiVersion: saw/v1\nkind: Trust\nkeys:\n" + key("ann", ann) + key("ben", ben, ", owner: ben") +
           key("ben-2", bens_other, ", owner: ben") + key("cat", cat) + key("dan", dan) + key("rex", rex) +
           "channels:\n"
           "  stable: {signers: [ann, ben, ben-2, cat], authors: [cat], revokers: [rex], threshold: 2}\n"
           "  beta: {signers: [ann, dan], threshold: 1}\n";
  }

  Manifest manifest() const {
    Manifest m{.version = "2026-11-24.1",
               .channel = "stable",
               .revision = 7,
               .not_before = kNow - kDay,
               .expires_at = kNow + kDay,
               .author = cat.public_key().id(),
               .threshold = 2};
    for (const PrivateKey* k : {&ann, &ben, &bens_other}) m.keys.push_back(k->public_key().id());
    list(m, std::string(kPolicyFile), kPolicyText);
    return m;
  }
  static void list(Manifest& m, const std::string& file, const std::string& content) {
    m.members[file] = {digest_text(sha256(content)), content.size()};
  }

  using Signers = std::vector<const PrivateKey*>;
  Signers enough() const { return {&cat, &ann, &ben}; }

  // A release directory of exactly these manifest bytes.
  FlatDirectory release(const std::string& manifest_text, const Signers& signers) const {
    Envelope e{.type = std::string(kReleaseType), .payload = manifest_text, .signatures = {}};
    for (const PrivateKey* k : signers) e.sign(*k);
    FlatDirectory out;
    out.files = {{std::string(kPolicyFile), kPolicyText},
                 {std::string(kManifestFile), manifest_text},
                 {std::string(kSignatureFile), e.text()}};
    return out;
  }
  FlatDirectory release() const { return release(manifest().text(), enough()); }
  FlatDirectory release_with_policy(Manifest m, const std::string& policy) const {
    list(m, std::string(kPolicyFile), policy);
    FlatDirectory out = release(m.text(), enough());
    out.files[std::string(kPolicyFile)] = policy;
    return out;
  }

  // The same, lying at a channel.
  FoundChannel channel(const Manifest& m) const {
    FoundChannel out{.version = m.version, .release = release(m.text(), enough())};
    out.pointer = Pointer{m.channel, m.version, digest(m)}.text();
    return out;
  }
  static std::string digest(const Manifest& m) { return digest_text(sha256(m.text())); }

  static std::string signed_text(std::string_view type, const std::string& payload, const Signers& signers) {
    Envelope e{.type = std::string(type), .payload = payload, .signatures = {}};
    for (const PrivateKey* k : signers) e.sign(*k);
    return e.text();
  }

  Around around() const { return {.channel = "stable", .trust = trust, .now = kNow}; }
};

// "" when it is accepted.
template <class T> std::string code_of(const Result<T>& result) {
  return result ? "" : result.error().code;
}

}  // namespace saw::release::fixture
