// What the control plane must not forget, behind one interface: SQLite here (sqlite_store.h), PostgreSQL
// later.
//
//   auto store = SAW_TRY(SqliteStore::open(directory + "/saw.db"));
//   SAW_TRY(store->put(Workspace{…}));                    // durable when it returns
//   for (const Workspace& w : SAW_TRY(store->workspaces())) …
//
// Records are plain values; what they mean is the business of control. put() inserts,
// or updates the members that may change (a workspace's profile never does, R6; its policy only with its channel). Secrets and private
// keys arrive sealed (seal.h): the store never sees one in the clear. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace saw::store {

// What somebody decided should be; recovery makes it so. `gone`: decommission has begun.
enum class Desired : uint8_t { stopped, running, gone };

struct Mount {
  std::string source, target;
  bool writable = false;
  template <class A> void members(A& a) { a(source, target, writable); }
};

struct Workspace {
  std::string id, owner, name;  // (owner, name) is unique
  Desired desired = Desired::stopped;
  std::string sandbox;      // the sandbox that is, or is to be, its running form
  std::string spec_digest;  // of everything its creator asked for: the idempotency key
  std::string profile, image;
  std::string policy_yaml, policy_file, policy_name, policy_digest;
  std::vector<Mount> mounts;
  uint64_t memory_bytes = 0, pids = 0, cpu_millis = 0;  // 0: as the policy says
  std::string ca_certificate;                           // PEM
  std::string ca_key_sealed;
  std::vector<std::string> warm;                    // runtimes that wait, started, for calls: "bash"
  std::map<std::string, std::string> placeholders;  // secret name → what the sandbox sees instead
  Nanos created = 0;
  std::string channel;  // whose releases are its policy; empty: a policy of its own
};

// A release channel: what was activated last, and everything that it takes to judge that again.
struct Channel {
  std::string name;
  uint64_t revision = 0;                     // grows only (R69)
  std::string version, release;              // release: its digest
  std::map<std::string, std::string> files;  // of the release, as they were signed
  std::string revocations;                   // what the channel takes back, as text; empty: nothing yet
  Nanos activated = 0;
};

struct Session {
  std::string id, workspace, name;  // (workspace, name) is unique
  Desired desired = Desired::running;
  std::string sandbox;
  Nanos created = 0;
};

struct Agent {
  std::string id, sponsor, name, purpose, state;  // (sponsor, name) is unique
  uint64_t version = 1;
  Nanos expires = 0, created = 0;
};

struct Sponsor {
  std::string id;
  bool enabled = true;
};

// A signed delegation (identity/delegation.h); the columns beside `record` are copies, for finding it.
struct Delegation {
  std::string id, sponsor, workspace, agent, parent;
  std::string record;
  Nanos created = 0;
};

// What was taken back, for good: `kind` is identity::Revocable's name.
struct Revocation {
  std::string kind, id, by, why;
  Nanos time = 0;
};

// What waits for a person. kind "request": an agent's request, described by method to preview. kind
// "quarantine": a change that would run later; `object` is its id at saw-node, `target` the place, `digest` the
// Merkle root of what is released, `preview` the line diff.
struct Review {
  std::string id, state, workspace, agent, sponsor, session, call, trace;
  std::string method, scheme, host, target, rule, reason, digest, policy_digest, preview;
  uint16_t port = 0;
  uint64_t body_bytes = 0;
  Nanos created = 0, expires = 0, decided = 0;
  std::string decided_by, why;
  std::string kind = "request", object;
};

struct Secret {
  std::string owner, name;  // together the key
  std::string sealed;
  uint64_t version = 1;
  Nanos created = 0, updated = 0;
};

// What is empty does not matter.
struct ReviewQuery {
  std::string_view state, workspace, sponsor, kind;
  size_t limit = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  virtual Result<std::vector<Workspace>> workspaces() = 0;
  virtual Result<> put(const Workspace& workspace) = 0;
  virtual Result<> remove_workspace(std::string_view id) = 0;  // with its sessions

  virtual Result<std::vector<Channel>> channels() = 0;
  virtual Result<> put(const Channel& channel) = 0;

  virtual Result<std::vector<Session>> sessions() = 0;
  virtual Result<> put(const Session& session) = 0;
  virtual Result<> remove_session(std::string_view id) = 0;

  virtual Result<std::vector<Agent>> agents() = 0;
  virtual Result<std::optional<Agent>> agent(std::string_view id) = 0;
  virtual Result<std::optional<Agent>> agent_named(std::string_view sponsor, std::string_view name) = 0;
  virtual Result<> put(const Agent& agent) = 0;

  virtual Result<std::optional<Sponsor>> sponsor(std::string_view id) = 0;
  virtual Result<> put(const Sponsor& sponsor) = 0;

  // Newest first.
  virtual Result<std::vector<Review>> reviews(const ReviewQuery& query) = 0;
  virtual Result<std::optional<Review>> review(std::string_view id) = 0;
  virtual Result<> add(const Review& review) = 0;
  // Writes state, decided, decided_by and why if the stored state still is `expected`; false if it is another
  // one.
  virtual Result<bool> transition(const Review& review, std::string_view expected) = 0;

  virtual Result<std::vector<Secret>> secrets(std::string_view owner) = 0;
  virtual Result<std::optional<Secret>> secret(std::string_view owner, std::string_view name) = 0;
  virtual Result<> put(const Secret& secret) = 0;
  virtual Result<bool> remove_secret(std::string_view owner, std::string_view name) = 0;

  virtual Result<std::vector<Delegation>> delegations() = 0;  // oldest first
  virtual Result<std::optional<Delegation>> delegation(std::string_view id) = 0;
  virtual Result<> add(const Delegation& delegation) = 0;  // never changed afterwards

  virtual Result<std::vector<Revocation>> revocations() = 0;
  virtual Result<> add(const Revocation& revocation) = 0;  // a repetition changes nothing

  // Grows by one with each call and never repeats, restarts included.
  virtual Result<uint64_t> next(std::string_view counter) = 0;
  virtual Result<uint64_t> last(std::string_view counter) = 0;  // what next() returned last; 0: nothing yet
};

}  // namespace saw::store
