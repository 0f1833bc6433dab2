// A policy as it was written, read into values and with every default filled in: what check, profile and
// compile work on.
//
// read_document() (read.h) makes it from YAML; nothing here decides. Places are kept for diagnostics that
// need more than one part.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/glob.h"
#include "policy/policy.h"

namespace saw::policy {

struct Place {
  int line = 0, column = 0;
};

enum class Reach : uint8_t { internal, external };
enum class DataClass : uint8_t { public_data, internal, private_data };
enum class Trust : uint8_t { trusted, untrusted };
enum class GitOp : uint8_t { fetch, push };

// One key of `query` or `headers`; header names are in lower case.
struct ValueRule {
  std::string key;
  Glob value;
};

struct Rule {
  Effect effect = Effect::deny;
  std::string id;  // "network.github.review[0]"
  Place place;
  bool everything = false;           // `allow: all`
  std::vector<std::string> methods;  // empty lists: no constraint
  std::vector<Glob> paths;
  std::vector<ValueRule> query, headers;
  std::optional<GitOp> op;
  std::vector<Glob> repos, refs;
};

struct HostPattern {
  Glob glob;             // canonical; literal() for an exact name
  bool address = false;  // an address literal: only itself, never matched by a wildcard
  Place place;
};

struct Entry {
  std::string name;
  Place place;
  std::vector<HostPattern> hosts;
  std::vector<uint16_t> ports;  // sorted, unique
  std::vector<Glob> paths;      // empty: all
  std::vector<AddressRange> addresses;
  Protocol protocol = Protocol::http;
  TlsMode tls = TlsMode::inspect;
  Trust content = Trust::untrusted;
  DataClass data = DataClass::public_data;
  Reach reach = Reach::external;
  std::string credential;
  Place credential_place;
  Limits limits;
  std::vector<Rule> rules;  // deny, then review, then allow, each in the order of the text
};

struct CredentialSource {
  Credential credential;
  Place place;
};

struct Document {
  std::string name, description;
  Profile profile = Profile::local;
  Isolation isolation = Isolation::vm;
  bool strict = false;
  Filesystem filesystem;
  ProcessLimits limits;
  std::vector<Entry> network;
  std::vector<CredentialSource> credentials;
  Effect trifecta = Effect::review;
  ReviewRules review;
  int64_t credential_ttl_ms = 60'000;
  Place profile_place, isolation_place, filesystem_place, review_place, trifecta_place;
};

}  // namespace saw::policy
