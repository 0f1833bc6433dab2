// Everything that sawd and saw-node say to each other: this header is that attack surface.
//
// One SOCK_SEQPACKET pair, created by saw-node when it starts sawd. sawd is the less trusted side: it names storage by id and never by
// path, and saw-node re-checks every id, path and limit. Each request carries an id of sawd's choosing; each gets exactly one
// Failed or the answer named beside it. Events come unasked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/wire.h"
#include "sandbox/plan.h"

namespace saw::sandbox {

// ---- sawd → saw-node ------------------------------------------------------------------------------------------------------------

// Makes the persistent tree of a workspace (answer: Done). Exists already: Done.
struct CreateStorage {
  uint64_t request = 0;
  std::string workspace;
  template <class A> void members(A& a) { a(request, workspace); }
};
// Removes a workspace's tree with its sessions, or one session's layer (session not empty). No sandbox may use it. Answer: Done.
struct RemoveStorage {
  uint64_t request = 0;
  std::string workspace, session;
  template <class A> void members(A& a) { a(request, workspace, session); }
};
// A workspace (session empty) or a session of it twice, in O(1): `fork` is the new one's id, and nothing
// running may write to the old one. Exists already: Done. Answer: Done.
struct ForkStorage {
  uint64_t request = 0;
  std::string workspace, session, fork;
  template <class A> void members(A& a) { a(request, workspace, session, fork); }
};
// What a workspace holds now, by name, kept with it until it is removed. Nothing running may write to it. Answer: Done.
struct TakeSnapshot {
  uint64_t request = 0;
  std::string workspace, snapshot;
  uint64_t created = 0;  // nanoseconds
  template <class A> void members(A& a) { a(request, workspace, snapshot, created); }
};
struct RemoveSnapshot {  // answer: Done
  uint64_t request = 0;
  std::string workspace, snapshot;
  template <class A> void members(A& a) { a(request, workspace, snapshot); }
};
struct ListSnapshots {  // answer: Snapshots
  uint64_t request = 0;
  std::string workspace;
  template <class A> void members(A& a) { a(request, workspace); }
};
// Nothing that anything in the workspace ever wrote is in it afterwards, or what was when the snapshot was taken. Its
// sessions' storage goes. Nothing of it may run. Answer: Done, after which the old content is gone.
struct RebuildStorage {
  uint64_t request = 0;
  std::string workspace, snapshot;  // snapshot may be empty
  template <class A> void members(A& a) { a(request, workspace, snapshot); }
};
// Builds and starts a sandbox, empty but for saw-init. Answer: SandboxStarted, with the capture listener and the DNS socket.
struct StartSandbox {
  uint64_t request = 0;
  SandboxPlan plan;
  template <class A> void members(A& a) { a(request, plan); }
};
// Kills everything in it, frees everything it held. Answer: Done, after which nothing of it is left. Unknown sandbox: Done.
// StopWhen::idle: "sandbox.busy", and it goes on, if any process but saw-init is in it.
enum class StopWhen : uint8_t { always, idle };
constexpr StopWhen kEnumLast(StopWhen) {
  return StopWhen::idle;
}
struct StopSandbox {
  uint64_t request = 0;
  std::string sandbox;
  StopWhen when = StopWhen::always;
  template <class A> void members(A& a) { a(request, sandbox, when); }
};
// Fresh duplicates of a running sandbox's capture listener and DNS socket (for a restarted saw-egress). Answer: SandboxStarted.
struct GetSockets {
  uint64_t request = 0;
  std::string sandbox;
  template <class A> void members(A& a) { a(request, sandbox); }
};
// Has a running workspace or session probed again, after what it may do has changed. Answer: SandboxProven. A surprise ends the
// sandbox: then the answer is Failed, "sandbox.unproven".
struct ProveSandbox {
  uint64_t request = 0;
  std::string sandbox;
  template <class A> void members(A& a) { a(request, sandbox); }
};
struct ExecSpec {
  std::vector<std::string> argv,
      environment;  // argv[0] is looked up in the PATH of `environment`, inside the sandbox
  std::string directory;
  bool terminal = false;  // a pty: then the answer carries one descriptor instead of three
  uint16_t rows = 24, columns = 80;
  template <class A> void members(A& a) { a(argv, environment, directory, terminal, rows, columns); }
};
// Answer: ExecStarted, with [stdin (write), stdout (read), stderr (read)] or [pty].
struct StartExec {
  uint64_t request = 0;
  std::string sandbox;
  ExecSpec spec;
  template <class A> void members(A& a) { a(request, sandbox, spec); }
};
// A program that is started beforehand in sandboxes which nobody uses yet, and waits there for its script: it
// serves calls whose command line is `command`, "-c", a script and that script's arguments.
struct WarmRuntime {
  std::string command;  // "bash", "/usr/bin/python3": as a call writes it
  enum class Kind : uint8_t { bash, python } kind = Kind::bash;
  friend constexpr Kind kEnumLast(Kind) { return Kind::python; }
  template <class A> void members(A& a) { a(command, kind); }
};
// Works a call's plan out, once for many calls, and parks sandboxes made to it: they are built, confined and
// idle. Again with the same plan: only the numbers change. Answer: CallsPrepared.
struct PrepareCalls {
  uint64_t request = 0;
  SandboxPlan plan;  // of depth call; its id is ignored
  uint32_t parked = 0;
  std::vector<std::string> environment;  // of its runtimes; a call with another one is served cold
  std::string directory;
  std::vector<WarmRuntime> runtimes;
  template <class A> void members(A& a) { a(request, plan, parked, environment, directory, runtimes); }
};
constexpr uint32_t kMaxParked = 64;
constexpr size_t kMaxRuntimes = 8;
// Forgets prepared plans of a workspace (or of one session), and ends what is parked for them. Answer: Done.
struct ForgetCalls {
  uint64_t request = 0;
  std::string workspace, session;
  template <class A> void members(A& a) { a(request, workspace, session); }
};
// One command in a sandbox of its own, which ends with it. Answer: CallStarted, with [stdin (write), stdout (read),
// stderr (read)] and, of a captured network, [capture listener, DNS socket]; then an ExecExited. Until StopSandbox is
// answered something of it may still be there.
struct RunCall {
  uint64_t request = 0;
  std::string plan;     // digest, from CallsPrepared
  std::string sandbox;  // what it shall be called
  ExecSpec spec;        // no terminal
  template <class A> void members(A& a) { a(request, plan, sandbox, spec); }
};
// To the process group of the command. No answer; an unknown exec is ignored (it may just have ended).
struct SignalExec {
  std::string sandbox;
  uint64_t exec = 0;
  int32_t signal = 0;
  template <class A> void members(A& a) { a(sandbox, exec, signal); }
};
struct ResizeExec {
  std::string sandbox;
  uint64_t exec = 0;
  uint16_t rows = 0, columns = 0;
  template <class A> void members(A& a) { a(sandbox, exec, rows, columns); }
};
// What a session changed against its lower layers, at `paths` and below (empty: everywhere). Answer: Changes, whose root is over
// everything that the session changed.
enum class DiffDetail : uint8_t { entries, lines };
constexpr DiffDetail kEnumLast(DiffDetail) {
  return DiffDetail::lines;
}
struct ListChanges {
  uint64_t request = 0;
  std::string workspace, session;
  std::vector<std::string> paths;
  DiffDetail detail = DiffDetail::entries;
  template <class A> void members(A& a) { a(request, workspace, session, paths, detail); }
};
// What a commit does with changes that would run later (run_later.h): keep them back as quarantine items, or fail ("commit.run_later").
enum class RunLater : uint8_t { quarantine, deny };
constexpr RunLater kEnumLast(RunLater) {
  return RunLater::deny;
}
// Failed with this code: the workspace stands on frozen layers, and its own sandbox must be down for what was asked; ask again then.
constexpr const char* kWorkspaceRuns = "workspace.runs";
// Brings what a session changed into the workspace, if that still has the root that was shown. No sandbox may use the session.
// Answer: Committed; kWorkspaceRuns.
struct CommitSession {
  uint64_t request = 0;
  std::string workspace, session, root;
  RunLater run_later = RunLater::quarantine;
  template <class A> void members(A& a) { a(request, workspace, session, root, run_later); }
};
// Forgets what a session changed; it goes on with an empty layer. No sandbox may use the session. Answer: Done.
struct DiscardSession {
  uint64_t request = 0;
  std::string workspace, session;
  template <class A> void members(A& a) { a(request, workspace, session); }
};
// What waits in the quarantine of a workspace. Answer: QuarantineList.
struct ListQuarantine {
  uint64_t request = 0;
  std::string workspace;
  template <class A> void members(A& a) { a(request, workspace); }
};
// Brings an item into the workspace if its changes still have this root, and ends it. Failed: nothing was applied ("commit.root",
// "commit.conflict"), or not all of it ("quarantine.partly"); kWorkspaceRuns. Answer: Done.
struct ReleaseQuarantine {
  uint64_t request = 0;
  std::string workspace, item, root;
  template <class A> void members(A& a) { a(request, workspace, item, root); }
};
// Answer: SandboxList.
struct ListSandboxes {
  uint64_t request = 0;
  template <class A> void members(A& a) { a(request); }
};
// Starts the workspace's saw-egress (killing one that runs). Answer: EgressStarted, with [control link, audit link].
struct StartEgress {
  uint64_t request = 0;
  std::string workspace;
  template <class A> void members(A& a) { a(request, workspace); }
};
struct StopEgress {
  uint64_t request = 0;
  std::string workspace;
  template <class A> void members(A& a) { a(request, workspace); }
};
// sawd has recovered and serves its API: saw-node tells whoever waits in `saw up`.
struct ControlReady {
  template <class A> void members(A&) {}
};
// `saw down`: stop every sandbox and every program, remove sockets, exit. No answer but the end of the link.
struct Shutdown {
  template <class A> void members(A&) {}
};

using ToNode = std::variant<CreateStorage, RemoveStorage, StartSandbox, StopSandbox, GetSockets, StartExec,
                            SignalExec, ResizeExec, ListChanges, ListQuarantine, ReleaseQuarantine,
                            ListSandboxes, StartEgress, StopEgress, ControlReady, Shutdown, PrepareCalls,
                            ForgetCalls, RunCall, ProveSandbox, CommitSession, DiscardSession, ForkStorage,
                            TakeSnapshot, RemoveSnapshot, ListSnapshots, RebuildStorage>;

// ---- saw-node → sawd ------------------------------------------------------------------------------------------------------------

// The first message on a new link.
struct NodeHello {
  std::string version, node;  // node: a stable id of this host's saw-node
  bool rootless = false;
  uint32_t api_uid_zero = 0;  // the uid that peer credentials show as 0 (rootless: the user's own)
  std::vector<std::string> guarantees, degraded;  // feature names, and "name: consequence"
  std::string proof_key;  // Ed25519, 32 bytes: what this node's proofs are signed with
  template <class A> void members(A& a) {
    a(version, node, rootless, api_uid_zero, guarantees, degraded, proof_key);
  }
};
struct Done {
  uint64_t request = 0;
  template <class A> void members(A& a) { a(request); }
};
struct Failed {
  uint64_t request = 0;
  std::string code, message;
  template <class A> void members(A& a) { a(request, code, message); }
};
struct SandboxStarted {
  uint64_t request = 0;
  std::string sandbox;
  std::vector<std::string> degraded;  // guarantees this sandbox does not have (never with Strictness::strict)
  std::string plan_digest;
  std::string proof;  // sealed (proof.h); empty for a call of a plan that was proven before
  template <class A> void members(A& a) { a(request, sandbox, degraded, plan_digest, proof); }
};
struct SandboxProven {
  uint64_t request = 0;
  std::string sandbox, proof;
  template <class A> void members(A& a) { a(request, sandbox, proof); }
};
struct ExecStarted {
  uint64_t request = 0, exec = 0;
  int32_t host_pid = 0;  // for the audit event
  template <class A> void members(A& a) { a(request, exec, host_pid); }
};
struct CallsPrepared {
  uint64_t request = 0;
  std::string plan;  // digest
  template <class A> void members(A& a) { a(request, plan); }
};
enum class Warmth : uint8_t { cold, parked, runtime };
constexpr Warmth kEnumLast(Warmth) {
  return Warmth::runtime;
}
struct CallStarted {
  uint64_t request = 0, exec = 0;
  int32_t host_pid = 0;  // 0: unknown
  Warmth warmth = Warmth::cold;
  std::vector<std::string> degraded;
  template <class A> void members(A& a) { a(request, exec, host_pid, warmth, degraded); }
};
enum class ChangeKind : uint8_t { added, changed, deleted };
constexpr ChangeKind kEnumLast(ChangeKind) {
  return ChangeKind::deleted;
}
enum class FileType : uint8_t { file, directory, symlink, other };
constexpr FileType kEnumLast(FileType) {
  return FileType::other;
}
struct FileSide {  // of a change: what was there, what is there
  FileType type = FileType::file;
  uint32_t mode = 0;
  uint64_t size = 0;
  std::string target;  // of a link
  template <class A> void members(A& a) { a(type, mode, size, target); }
};
struct Change {
  ChangeKind kind = ChangeKind::added;
  std::string path;  // absolute inside the sandbox; bytes of the agent's choosing
  std::optional<FileSide> before, after;
  bool content = false, attributes = false;  // which of them changed, where both sides are of one type
  std::string renamed_from;                  // a deleted path with the same bytes; empty: none
  std::string lines;                         // unified diff of a text file, where asked for
  bool binary = false;                       // it has no lines
  template <class A> void members(A& a) {
    a(kind, path, before, after, content, attributes, renamed_from, lines, binary);
  }
};
struct Changes {
  uint64_t request = 0;
  std::vector<Change> changes;  // sorted by path
  bool complete = true;         // false: a bound was met, and `limit` says which
  std::string limit;
  std::string root;  // "sha256:…" over all changes (change_record.h); empty unless complete
  template <class A> void members(A& a) { a(request, changes, complete, limit, root); }
};
constexpr size_t kMaxChanges = 100'000;
// The end of a commit. Conflicts: nothing was applied. Of each list the first kMaxNamedPaths, sorted.
constexpr size_t kMaxNamedPaths = 1000;
struct Committed {
  uint64_t request = 0;
  std::string root;
  uint64_t applied = 0, conflicting = 0, held_back = 0, left = 0;  // how many changes
  std::vector<std::string> conflicts;  // changed in the workspace since the session began
  std::vector<std::string> withheld;   // quarantined: they stay with the session
  std::vector<std::string>
      failed;  // changed in the workspace while the commit ran: they stay with the session
  std::string quarantine_problem;  // why what was withheld is not in quarantine; empty: it is
  template <class A> void members(A& a) {
    a(request, root, applied, conflicting, held_back, left, conflicts, withheld, failed, quarantine_problem);
  }
};
// What one session wanted at one place that runs later, kept until a person decides (quarantine.h). It is named like a session: ListChanges
// shows it, a commit of its root releases it, RemoveStorage ends it.
struct QuarantineItem {
  std::string id, session;        // session: where it comes from; it may have ended
  std::string place;              // a path, bytes of the agent's choosing
  std::string rule, why, detail;  // run_later.h
  std::string root;               // "sha256:…" over its changes when it was kept
  uint64_t changes = 0;
  template <class A> void members(A& a) { a(id, session, place, rule, why, detail, root, changes); }
};
struct QuarantineList {
  uint64_t request = 0;
  std::vector<QuarantineItem> items;
  template <class A> void members(A& a) { a(request, items); }
};
struct SnapshotInfo {
  std::string name;
  uint64_t created = 0;  // nanoseconds
  template <class A> void members(A& a) { a(name, created); }
};
struct Snapshots {
  uint64_t request = 0;
  std::vector<SnapshotInfo> snapshots;  // sorted by name
  template <class A> void members(A& a) { a(request, snapshots); }
};
struct SandboxInfo {
  std::string sandbox, workspace, session;
  Depth depth = Depth::call;
  template <class A> void members(A& a) { a(sandbox, workspace, session, depth); }
};
struct SandboxList {
  uint64_t request = 0;
  std::vector<SandboxInfo> sandboxes;
  template <class A> void members(A& a) { a(request, sandboxes); }
};
struct EgressStarted {
  uint64_t request = 0;
  std::string workspace;
  template <class A> void members(A& a) { a(request, workspace); }
};

// How a command ended: a value, not an error.
// file_too_large: by SIGXFSZ, in a sandbox whose files may not grow as they like.
enum class ExecEnd : uint8_t { exited, signalled, not_started, sandbox_gone, out_of_memory, file_too_large };
constexpr ExecEnd kEnumLast(ExecEnd) {
  return ExecEnd::file_too_large;
}
// What the kernel counted in a command's sandbox while it ran; 0 where nothing counts, and for a command that succeeded.
// Neither of them need have ended it.
struct LimitsMet {
  uint64_t memory_kills = 0;   // processes killed for want of memory
  uint64_t forks_refused = 0;  // processes and threads that would have been too many
  template <class A> void members(A& a) { a(memory_kills, forks_refused); }
};
struct ExecExited {  // event
  std::string sandbox;
  uint64_t exec = 0;
  ExecEnd end = ExecEnd::exited;
  int32_t status = 0;  // exit status, signal number, or errno of execve (not_started)
  LimitsMet met;
  template <class A> void members(A& a) { a(sandbox, exec, end, status, met); }
};
struct SandboxExited {  // event: saw-init of this sandbox ended without StopSandbox
  std::string sandbox, reason;
  template <class A> void members(A& a) { a(sandbox, reason); }
};
struct EgressExited {  // event
  std::string workspace;
  template <class A> void members(A& a) { a(workspace); }
};
struct
    PerimeterStarted {  // event, with [control link, audit link]; again after each restart of saw-perimeter
  template <class A> void members(A&) {}
};

using FromNode =
    std::variant<NodeHello, Done, Failed, SandboxStarted, ExecStarted, Changes, QuarantineList, SandboxList,
                 EgressStarted, ExecExited, SandboxExited, EgressExited, PerimeterStarted, CallsPrepared,
                 CallStarted, SandboxProven, Committed, Snapshots>;

}  // namespace saw::sandbox
