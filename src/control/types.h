// The values that pass between the API and the control plane: who asks, for what, and what is shown in
// return. No behaviour.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace saw::control {

// Every answer comes later, on the same thread.
template <class T = void> using Reply = std::move_only_function<void(Result<T>)>;

enum class Role : uint8_t { user, operator_ };
struct Caller {
  std::string sponsor;  // "uid:1000"
  Role role = Role::user;
};

struct MountSpec {
  std::string source, target;
  bool writable = false;
};
struct WorkspaceSpec {
  std::string name, profile, policy_yaml, policy_file, image = "host", isolation;
  std::string channel;  // whose releases are its policy; else policy_yaml is
  std::vector<MountSpec> mounts;
  uint64_t memory_bytes = 0, pids = 0, cpu_millis = 0;  // 0: as the policy says; never more than it says
  std::vector<std::string>
      warm;  // "bash", "/usr/bin/python3": shells and interpreters kept started for calls
};

enum class WorkspaceState : uint8_t { stopped, starting, running, stopping, failed };
std::string_view name(WorkspaceState state);

struct CredentialView {
  std::string name, env;
};
// What saw-node's probes showed, last.
struct ProofView {
  std::string node, plan_digest, occasion;  // "start" or "again"
  Nanos time = 0;
  size_t probes = 0, not_applicable = 0;
  std::string envelope;  // the signed statement (sandbox/proof.h)
};
struct WorkspaceView {
  std::string id, name, owner, profile, policy_name, policy_digest, isolation = "namespace", image, sandbox,
                                                                    error;
  WorkspaceState state = WorkspaceState::stopped;
  Nanos created = 0;
  std::vector<MountSpec> mounts;
  std::vector<CredentialView> credentials;
  std::vector<std::string> degraded, warm;
  std::optional<ProofView> proof;
  std::string channel, shut;          // shut: why its agents may not act now
  std::vector<std::string> outdated;  // sandboxes that were made by an older policy's static sections
};
// A release channel: what lies there, what is enforced, and by whom (R72).
struct ChannelView {
  std::string name, tree;
  std::string published_version, published_digest;                  // as it lies there, verified or not
  std::string refusal_code, refusal;                                // of that; empty: it is enforced
  std::string version, digest, policy_name, policy_digest, author;  // of what is enforced; empty: nothing
  std::vector<std::string> signers;
  uint64_t revision = 0, epoch = 0;  // epoch: of the revocation list
  Nanos expires = 0, activated = 0;
  bool expired = false;
  std::string shut_code, shut;
  std::vector<WorkspaceView> workspaces;  // that the caller may see
};
enum class Created : uint8_t { now, before };  // before: the same content existed (idempotent repetition)
struct WorkspaceCreated {
  Created created = Created::now;
  WorkspaceView workspace;
};

struct SessionView {
  std::string id, name, workspace, state, sandbox;
  Nanos created = 0;
  std::optional<ProofView> proof;
};
struct SnapshotView {
  std::string name;
  Nanos created = 0;
};
struct FileSideView {
  std::string type, mode, target;  // mode: "0644"; target: of a link
  uint64_t size = 0;
};
struct ChangeView {
  std::string kind, path, renamed_from;
  std::string lines;  // unified diff, bytes of the agent's choosing
  std::optional<FileSideView> before, after;
  bool content = false, attributes = false, binary = false;
};
struct DiffView {
  std::vector<ChangeView> changes;
  bool complete = true;
  std::string limit, root;
};

struct DiffQuery {
  std::vector<std::string> paths;  // canonical; empty: everywhere
  bool lines = false;
};
// How the files of a session are to be changed.
enum class Running : uint8_t { refuse, stop };  // what to do if commands run in it
struct FileChange {
  std::string by, root;  // root: of what was shown; empty: whatever there is now
  Running running = Running::refuse;
};
struct CommitView {
  std::string root;
  uint64_t applied = 0, conflicting = 0, held_back = 0, left = 0;
  std::vector<std::string> conflicts, withheld, failed;  // the first of each
  std::vector<std::string> reviews;                      // that wait for what the session's commits held back
  std::string quarantine_problem;                        // why there are none
};

struct AgentView {
  std::string id, name, sponsor, purpose, state;
  uint64_t version = 1;
  Nanos expires = 0;  // 0: does not expire
};
struct DelegationSpec {
  std::string agent, name;  // name: of a sub-agent of `agent`, made with its record; empty: `agent` itself
  std::string task, parent, approval;
  struct Grant {
    std::vector<std::string> actions, tools, resources, labels;  // labels tolerated
  };
  std::vector<Grant> grants;      // none: all that the parent has
  int64_t lifetime_ms = 0;        // 0: the parent's, or kDefaultLifetime
  uint64_t calls = 0, depth = 0;  // calls 0: the parent's, or not counted
};
struct DelegationView {
  std::string id, issuer, user, sponsor, workspace, agent, task, approval, parent, digest, audit, record;
  std::vector<DelegationSpec::Grant> grants;
  Nanos issued = 0, not_before = 0, expires = 0;
  uint64_t calls = 0, calls_used = 0, depth = 0;
  std::string state, reason;          // "in force", or a code and why it is not
  std::vector<DelegationView> chain;  // its ancestors, nearest first
};
struct RevocationView {
  std::string kind, id, by, why;
  Nanos time = 0;
};
struct WhoView {
  std::string sponsor, role, node, key_id;
  size_t agents = 0, delegations = 0, workspaces = 0;
};

enum class AgentVerb : uint8_t { suspend, resume, revoke };

struct SecretView {
  std::string name;
  Nanos created = 0, updated = 0;
  uint64_t version = 1;
};

struct ReviewView {
  std::string id, state, workspace, agent, sponsor, session, call, method, scheme, host, target, rule, reason,
      digest, policy_digest, preview, decided_by, why;
  uint16_t port = 0;
  uint64_t body_bytes = 0;
  Nanos created = 0, expires = 0;
  std::string kind, object;  // store::Review
};

struct ProgramView {
  std::string name, workspace, state;
  int32_t pid = 0;  // 0: not known
};
struct StatusView {
  std::string version, node, state;
  bool rootless = false, audit_ok = true;
  uint64_t audit_entries = 0;
  std::vector<ProgramView> programs;
  size_t workspaces = 0;
  std::vector<std::string> degraded;
};

struct AuditPage {
  uint64_t size = 0, first = 0;
  std::vector<std::string> entries;
};
struct AuditKeyView {
  std::string origin, public_key, directory;
};

enum class ExecKind : uint8_t { workspace, session, call };
struct ExecRequest {
  std::string requested_by;  // the caller's sponsor id
  ExecKind kind = ExecKind::call;
  std::string session, agent, delegation, directory;
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  bool terminal = false;
  bool keep = false;  // a call's files stay, as those of a session do
  uint16_t rows = 24, columns = 80;
  int64_t timeout_ms = 0;  // 0: as the policy says
};
enum class ExitKind : uint8_t {
  exited,
  signalled,
  timed_out,
  out_of_memory,
  file_too_large,
  not_started,
  sandbox_gone
};
std::string_view name(ExitKind kind);
struct Exit {
  ExitKind kind = ExitKind::exited;
  int32_t status = 0;  // exit status, signal number, or errno (not_started)
  // What was met in its sandbox while it ran, whether or not it ended the command (sandbox::LimitsMet).
  uint64_t memory_kills = 0, forks_refused = 0;
};
// The limit that ended a command: "wall_clock", "memory" or "file_size"; empty: none did.
std::string_view limit(ExitKind kind);

// A terminal that goes on when nobody is attached (terminals.h).
struct TerminalView {
  std::string id, name, session, agent, call, command, requested_by;
  std::string state;  // "starting", "running", "ended": then `exit` says how
  Nanos created = 0;
  size_t attached = 0;  // people, now
  Exit exit;
};
struct AttachRequest {
  std::string by;    // the caller's sponsor id
  std::string name;  // of the terminal; empty: "main"
  enum class Which : uint8_t { either, existing, fresh } which = Which::either;
  ExecRequest exec;  // what to start where there is none; argv empty: a login shell
};

}  // namespace saw::control
