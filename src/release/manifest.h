// What a release is: the signed list of its files and where it stands in its channel.
//
//   Manifest m{.version = "2026-11-24.1", .channel = "stable", .revision = 7, …};
//   std::string bytes = m.text();                       // exactly these bytes are signed
//   Manifest again = SAW_TRY(Manifest::parse(bytes));   // after the signatures, never before
//
// A release belongs to one channel. Its digest is the SHA-256 of the manifest's bytes and through `members` covers
// every file of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"

namespace saw::release {

struct Member {
  std::string sha256;  // "sha256:…"
  uint64_t size = 0;
  bool operator==(const Member&) const = default;
};

struct Manifest {
  static constexpr size_t kMaxBytes = 64u << 10, kMaxMembers = 16, kMaxKeys = 16;
  static constexpr uint64_t kMaxMemberBytes = 4u << 20;

  std::string version;                   // "2026-11-24.1"
  std::string channel;                   // "stable"
  uint64_t revision = 0;                 // grows with every release of the channel; from 1
  Nanos not_before = 0, expires_at = 0;  // [not_before, expires_at)
  std::string author;                    // id of a key; empty: not attested
  uint64_t threshold = 1;         // signatures that its makers ask for; the trust file may ask for more
  std::vector<std::string> keys;  // ids of the keys whose signatures count
  std::map<std::string, Member> members;  // by file name; "policy.yaml" is always there

  static Result<Manifest> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Manifest&) const = default;
};

// {channel, version, sha256}: which release a channel points to (R63). Says nothing that is not signed elsewhere.
struct Pointer {
  static constexpr size_t kMaxBytes = 4096;
  std::string channel, version, sha256;  // sha256: the release's digest

  static Result<Pointer> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Pointer&) const = default;
};

}  // namespace saw::release
