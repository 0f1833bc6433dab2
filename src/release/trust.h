// Whom a host believes: the keys, and what each may sign on which channel. Written by the operator, outside every
// workspace and every release; docs/releases.md has the format.
//
//   Trust trust = SAW_TRY(Trust::parse(yaml, "trust.yaml"));        // "trust.invalid" with every file:line:column
//   const ChannelTrust* stable = trust.channel("stable");
//
// Two keys of one owner are one voice: neither meets a threshold of two together, nor is one the author and the other
// the signer. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/keys.h"

namespace saw::release {

struct TrustedKey {
  std::string name, owner;  // owner: a person; the key's name where the file does not say
  PublicKey key;
};

struct ChannelTrust {
  std::set<std::string> signers;   // ids of keys
  std::set<std::string> authors;   // empty: authorship is not attested on this channel
  std::set<std::string> revokers;  // may sign the revocation list besides the signers, and nothing else
  size_t threshold = 1;            // different owners among the signers that must have signed
};

class Trust {
 public:
  static constexpr size_t kMaxBytes = 256u << 10, kMaxKeys = 64, kMaxChannels = 64;

  static Result<Trust> parse(std::string_view yaml, std::string_view file);

  const TrustedKey* key(std::string_view id) const;
  const ChannelTrust* channel(std::string_view name) const;
  const std::map<std::string, TrustedKey, std::less<>>& keys() const { return keys_; }
  const std::map<std::string, ChannelTrust, std::less<>>& channels() const { return channels_; }

 private:
  friend class TrustReader;
  std::map<std::string, TrustedKey, std::less<>> keys_;  // by id
  std::map<std::string, ChannelTrust, std::less<>> channels_;
};

}  // namespace saw::release
