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
enum class OperationType : uint8_t { query, mutation, subscription };
enum class Binary : uint8_t { deny, allow };
enum class Ecosystem : uint8_t { npm, pypi, cargo, go, maven, rubygems, oci, debian };
enum class RegistryOp : uint8_t { read, publish };

// One key of `query`, `headers`, `params` or `arguments`. Header names are in lower case; the last two are JSON
// pointers (RFC 6901).
struct ValueRule {
  std::string key;
  Glob value;
};

// `when.labels`: which labels the asking process tree must have, and must not.
struct LabelCondition {
  Labels all = 0, any = 0, none = 0;
  bool holds(Labels labels) const {
    return (labels & all) == all && (any == 0 || (labels & any) != 0) && (labels & none) == 0;
  }
  // Whether some set of labels can hold.
  bool possible() const { return (all & none) == 0 && (any == 0 || (any & ~none) != 0); }
  bool operator==(const LabelCondition&) const = default;
};

struct Rule {
  Effect effect = Effect::deny;
  std::string id;  // "network.github.review[0]"
  Place place;
  bool everything = false;           // `allow: all`
  LabelCondition when;               // any protocol
  std::vector<std::string> methods;  // http; here and below, empty lists: no constraint
  std::vector<Glob> paths;           // http, websocket
  std::vector<ValueRule> query, headers;
  std::optional<GitOp> op;  // git
  std::vector<Glob> repos, refs;
  std::vector<OperationType> types;  // graphql
  std::vector<Glob> names, fields;
  std::vector<Glob> calls;           // jsonrpc, mcp: `methods`
  std::vector<Glob> tools;           // mcp
  std::vector<ValueRule> arguments;  // mcp: `arguments`; jsonrpc: `params`
  std::vector<Glob> messages;        // websocket
  Binary binary = Binary::deny;
  Ecosystem ecosystem = Ecosystem::npm;  // registry
  RegistryOp registry_op = RegistryOp::read;
  std::vector<Glob> packages;
  uint16_t min_age_days = 0;
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
  Place protocol_place, tls_place, data_place, limits_place;  // line 0: by default
  std::vector<Rule> rules;  // deny, then review, then allow, each in the order of the text
};

struct CredentialSource {
  Credential credential;
  Place place;
};

// Who may be asked which model, and with what.
struct InferenceRule {
  Glob model;                   // over the whole name
  std::string via;              // a network entry
  std::vector<DataClass> data;  // what may go into a question; by default public data only
  Place place;
};

struct Document {
  std::string name, description;
  std::optional<DataClassification> classification;
  Profile profile = Profile::local;
  Isolation isolation = Isolation::vm;
  bool strict = false;
  Filesystem filesystem;
  ProcessLimits limits;
  std::vector<Entry> network;
  std::vector<CredentialSource> credentials;
  std::vector<InferenceRule> inference;
  Budget budget;
  Effect trifecta = Effect::review;
  ReviewRules review;
  int64_t credential_ttl_ms = 60'000;
  // Line 0: the policy does not have it.
  Place profile_place, isolation_place, filesystem_place, labels_place, review_place, trifecta_place,
      budget_place;
};

}  // namespace saw::policy
